"""Test process: what a handler function wants, by its annotations; see worker/handler/parameters.py."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Optional, Protocol

import pytest

from worker.handler.parameters import Unfit, Wanted, wanted
from worker.message import Message

if TYPE_CHECKING:
    from decimal import Decimal as ForCheckersOnly


@dataclass
class Order:
    total: float


class Posted(Protocol):
    body: bytes


class Shop:
    def method(self, order: Order, message: Message) -> None: ...
    def __call__(self, order: Order) -> None: ...


def bare(message): ...  # type: ignore[no-untyped-def]
def message_only(message: Message) -> None: ...
def maybe(message: Message | None) -> None: ...
def maybe_long(message: Optional[Message]) -> None: ...  # noqa: UP045 - users write it so
def anything(message: Any, *more: Any) -> None: ...
def an_object(message: object) -> None: ...
def posted(message: Posted) -> None: ...
def starred(*messages: Order) -> None: ...
def many(messages: list[Message]) -> None: ...
def order_only(order: Order) -> None: ...
def both(order: Order, message: Message) -> None: ...
def both_bare(order: Order, message) -> None: ...  # type: ignore[no-untyped-def]
def both_default(order: Order, message: Message | None = None) -> None: ...
def own_default(order: Order, retries: int = 3, *, depth: int = 1) -> None: ...
def unknown_default(order: Order, retries: ForCheckersOnly | None = None) -> None: ...
def lists(orders: list[Order], messages: list[Message]) -> None: ...
def sequences(orders: Sequence[Order], messages: Sequence[Message], *, n: int = 1) -> None: ...
def array(orders: list[Order]) -> None: ...
def array_beside(orders: list[Order], message: Message) -> None: ...
def labelled(order: Annotated[Order, "label"]) -> None: ...
async def later(order: Order, message: Message) -> None: ...


@functools.wraps(both)
def wrapped(*args: Any) -> None: ...


def handle_unknown_elsewhere(order: Order, message: Message) -> ForCheckersOnly: ...  # type: ignore[empty-body]


@pytest.mark.parametrize(
    "function", [bare, message_only, maybe, maybe_long, anything, an_object, posted, starred, print, type, lambda: None]
)
def test_what_asks_for_a_message_gets_it(function: Callable[..., Any]) -> None:
    """Without annotation, by Message, by a protocol, or by nothing that says more."""
    assert wanted(function) == Wanted()


@pytest.mark.parametrize(
    ("function", "want"),
    [
        (many, Wanted(batch=True)),
        (order_only, Wanted(Order, "order", message=False)),
        (both, Wanted(Order, "order")),
        (both_bare, Wanted(Order, "order")),
        (both_default, Wanted(Order, "order")),
        (own_default, Wanted(Order, "order", message=False)),
        (unknown_default, Wanted(Order, "order", message=False)),
        (lists, Wanted(Order, "orders", batch=True)),
        (sequences, Wanted(Order, "orders", batch=True)),
        (array, Wanted(list[Order], "orders", message=False)),
        (array_beside, Wanted(list[Order], "orders")),
        (labelled, Wanted(Annotated[Order, "label"], "order", message=False)),
        (later, Wanted(Order, "order")),
        (wrapped, Wanted(Order, "order")),
        (Shop().method, Wanted(Order, "order")),
        (Shop(), Wanted(Order, "order", message=False)),
        (functools.partial(both, message=None), Wanted(Order, "order", message=False)),
        (handle_unknown_elsewhere, Wanted(Order, "order")),
    ],
)
def test_a_body_is_wanted_by_its_annotation(function: Callable[..., Any], want: Wanted) -> None:
    """Annotations are text here, and evaluated one by one: what another says does not matter."""
    assert wanted(function) == want


def unknown(order: ForCheckersOnly) -> None: ...
def mixed(order: Order | Message) -> None: ...
def nested(orders: dict[str, Message]) -> None: ...
def swapped(order: Order, other: Order) -> None: ...
def three(order: Order, message: Message, context: object) -> None: ...
def keyword(order: Order, *, message: Message) -> None: ...
def no_list(order: Order, messages: list[Message]) -> None: ...
def bare_list(order: list, messages: list[Message]) -> None: ...  # type: ignore[type-arg]
def unknown_second(order: Order, message: ForCheckersOnly) -> None: ...


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (
            unknown,
            "the annotation 'ForCheckersOnly' of its parameter 'order' cannot be evaluated (NameError: name "
            "'ForCheckersOnly' is not defined): import what it names at the top of the module, and not for type",
        ),
        (mixed, "its parameter 'order' mixes Message with something else"),
        (nested, "its parameter 'orders' mixes Message with something else"),
        (swapped, "its second parameter, 'other', gets the message: annotate it as Message"),
        (three, "nothing is known of its parameter 'context'"),
        (keyword, "nothing is known of its parameter 'message'"),
        (no_list, "its parameter 'order' must be a list of bodies, such as list[Order]"),
        (bare_list, "its parameter 'order' must be a list of bodies, such as list[Order]"),
        (unknown_second, "the annotation 'ForCheckersOnly' of its parameter 'message' cannot be evaluated"),
    ],
)
def test_what_is_not_clear_is_refused(function: Callable[..., Any], words: str) -> None:
    """By the parameter's name, and with what to write."""
    with pytest.raises(Unfit) as caught:
        wanted(function)
    assert words in str(caught.value)
