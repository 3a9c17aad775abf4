"""Test process: fixtures of the handler's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.handler.parts import Parts
from tests.handler.process import HandlerProcess
from worker.message import Message

Build = Callable[..., Parts]
Launch = Callable[..., HandlerProcess]


@pytest.fixture
def build() -> Iterator[Build]:
    """Makes the parts of a handler, attached to a poller; closes them afterwards."""
    made: list[Parts] = []

    def start(function: Callable[[Message], Any] = lambda _message: None, *, attached: bool = True) -> Parts:
        parts = Parts(function)
        made.append(parts)
        if attached:
            parts.attach()
            parts.heard()
            parts.control.receive()
        return parts

    yield start
    for parts in made:
        parts.close()


@pytest.fixture
def launch() -> Iterator[Launch]:
    """Starts real handler processes; ends them afterwards."""
    made: list[HandlerProcess] = []

    def start(**arguments: Any) -> HandlerProcess:
        made.append(HandlerProcess(**arguments))
        return made[-1]

    yield start
    for handler in made:
        handler.close()
