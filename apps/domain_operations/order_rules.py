"""Handler process: what an order asks, and the notification that goes with it; pure.

The notification's `batch_id` is made of the order's id alone: however often it is sent, the notifications application
delivers one batch to each recipient once.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from apps.notifications.rules import cut

#: Recipients of one message; an order has a few as a rule.
_PER_MESSAGE = 100
#: A partition key of DynamoDB has 2,048 bytes at most; nobody's order id has.
_LONGEST_ID = 256
#: Ours, drawn once.
_NAMESPACE = uuid.UUID("6f0c2a53-53a0-4f4b-9d0e-0c1f3f7f7e11")


class BadOrder(ValueError):
    """The message is no order; the text says why, without any of its content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a message asks."""

    order_id: str
    channel: str
    recipients: int
    batch_id: str
    digest: str  #: of all that it says: another order under the same id has another
    notifications: tuple[bytes, ...]  #: bodies for the notification queue


def read(body: bytes) -> Order:
    """The order in a body, `{order_id, recipients, channel, content}`. Raises BadOrder."""
    try:
        said: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadOrder(f"the body is not JSON: {error.msg} at byte {error.pos}") from None
    if not isinstance(said, Mapping):
        raise BadOrder("the body is JSON, but no object")
    order_id = said.get("order_id")
    if not isinstance(order_id, str) or not 0 < len(order_id) <= _LONGEST_ID:
        raise BadOrder(f"order_id is no text of 1 to {_LONGEST_ID} characters")
    fields = {name: said.get(name) for name in ("content", "channel", "recipients")}
    batch_id = str(uuid.uuid5(_NAMESPACE, order_id))
    try:
        # What is sent is judged as what reads it will.
        chunks = cut(batch_id, **fields, most=_PER_MESSAGE)  # type: ignore[arg-type]  # it checks the types itself
    except ValueError as error:
        raise BadOrder(str(error)) from None
    return Order(
        order_id=order_id,
        channel=str(fields["channel"]),
        recipients=sum(len(chunk.recipients) for chunk in chunks),
        batch_id=batch_id,
        digest=hashlib.sha256(orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)).hexdigest(),
        notifications=tuple(chunk.body for chunk in chunks),
    )
