"""Test process: what form a handler function has; see worker/handler/form.py."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from worker.handler.form import Form, form_of, of_messages
from worker.message import Message

if TYPE_CHECKING:
    from worker.message import Message as Order


def one(message: Message) -> None: ...
def bare(message): ...  # type: ignore[no-untyped-def]
def many(messages: list[Message]) -> None: ...
def any_sequence(messages: Sequence[Message], *, retries: int = 3) -> None: ...
def of_text(messages: list[str]) -> None: ...
def unknown(orders: list[Order]) -> None: ...
def unknown_elsewhere(messages: list[Message], to: Nowhere = None) -> None: ...  # type: ignore[name-defined]  # noqa: F821
async def later(message: Message) -> None: ...
async def many_later(messages: list[Message]) -> None: ...


class Shop:
    """Objects that can be called, and methods."""

    def many(self, messages: list[Message]) -> None: ...
    async def __call__(self, messages: list[Message]) -> None: ...


@functools.wraps(many)
def wrapped(*args: Any) -> None: ...


@pytest.mark.parametrize(
    ("function", "asynchronous", "batch"),
    [
        (one, False, False),
        (bare, False, False),
        (many, False, True),
        (any_sequence, False, True),
        (of_text, False, False),
        (unknown, False, False),
        (unknown_elsewhere, False, True),
        (later, True, False),
        (many_later, True, True),
        (Shop().many, False, True),
        (Shop(), True, True),
        (functools.partial(any_sequence, retries=1), False, True),
        (wrapped, False, True),
        (type, False, False),
    ],
)
def test_the_form_is_seen(function: Callable[..., Any], asynchronous: bool, batch: bool) -> None:
    """By `async def` and by the annotation, text or not; an annotation that names nothing we know is no batch."""
    assert form_of(function) == Form(asynchronous, batch)


@pytest.mark.parametrize(
    ("function", "so"),
    [
        (one, True),
        (bare, True),
        (many, True),
        (any_sequence, True),
        (later, True),
        (lambda: None, True),
        (of_text, False),
        (unknown, False),
        (type, False),
    ],
)
def test_a_first_look_says_what_surely_takes_messages(function: Callable[..., Any], so: bool) -> None:
    """What it does not say is looked at closely; see worker/handler/parameters.py."""
    assert of_messages(function) is so
