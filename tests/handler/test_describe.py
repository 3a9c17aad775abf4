"""Test process: an exception of user code becomes text, whatever it does; see worker/handler/describe.py."""

from __future__ import annotations

import traceback
from typing import Any

import pytest

from worker.handler.describe import describe, describe_traceback


def deep(levels: int) -> None:
    if levels:
        deep(levels - 1)
    raise ValueError("at the bottom")


def caught(levels: int) -> BaseException:
    try:
        deep(levels)
    except ValueError as error:
        return error
    pytest.fail("nothing raised")


def test_a_traceback_ends_with_the_error_and_names_where_it_was_raised() -> None:
    """The innermost frames and the exception itself survive clipping, whatever the depth."""
    for levels in (0, 3, 500):
        text = describe_traceback(caught(levels))
        assert text.endswith("ValueError: at the bottom")
        assert "in deep" in text
        assert len(text) <= 1003


def test_a_traceback_that_cannot_be_formatted_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without memory the log line still comes."""

    def fail(*_arguments: Any, **_named: Any) -> list[str]:
        raise MemoryError

    monkeypatch.setattr(traceback, "format_exception", fail)
    assert describe_traceback(ValueError("x")) == "no traceback: MemoryError"


def test_an_exception_is_its_type_and_text() -> None:
    """Without a text it is the type alone."""
    assert describe(ValueError("x")) == "ValueError: x"
    assert describe(ValueError()) == "ValueError"
    assert len(describe(ValueError("x" * 5000))) == 1003
