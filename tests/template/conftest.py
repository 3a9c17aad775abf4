"""Test process: fixtures of the template's tests: a test that is a subreaper, and what it starts."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.template.process import TemplateProcess
from worker import platform

Launch = Callable[[str], TemplateProcess]

_PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture
def launch(tmp_path: Path, no_child_left: None, no_descriptor_left: None) -> Iterator[Launch]:
    """Starts a template on a source, as a supervisor does: orphans below become the children of this process."""
    platform.adopt_orphans()
    started: list[TemplateProcess] = []

    def start(source: str) -> TemplateProcess:
        started.append(TemplateProcess(tmp_path, source))
        return started[-1]

    yield start
    for template in started:
        template.close()
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
