"""Handler process: the application of the tests, typed: handler functions that take decoded bodies."""

from __future__ import annotations

from dataclasses import dataclass

from worker import Message, Retry


@dataclass
class Order:
    id: int


def check(order: Order, message: Message) -> None:
    """Retries by the number that it was given, so that a test can see both."""
    assert isinstance(order, Order)
    if order.id:
        raise Retry(after=order.id, reason=message.id)


def handle(order: Order, message: Message) -> None:
    check(order, message)


async def handle_async(order: Order, message: Message) -> None:
    check(order, message)


def handle_list(orders: list[Order], messages: list[Message]) -> dict[Message, Retry]:
    return {
        message: Retry(after=order.id, reason=message.id)
        for order, message in zip(orders, messages, strict=True)
        if order.id
    }


async def handle_list_async(orders: list[Order], messages: list[Message]) -> dict[Message, Retry]:
    return handle_list(orders, messages)
