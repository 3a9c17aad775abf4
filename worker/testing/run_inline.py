"""Test process: runs a handler function on messages, as a handler process would, without any process or queue."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from worker.handler.attempt import Attempt
from worker.handler.attributes import encode
from worker.handler.form import form_of
from worker.handler.middleware import Middleware, wrap_fitting
from worker.handler.perform import perform
from worker.handler.perform_async import perform_async
from worker.handler.typed import typed
from worker.message import LONGEST_LEASE, Kind, Message, MessageAttribute
from worker.platform import now
from worker.protocol import Outcome, Parcel
from worker.settings import QueueSettings

__all__ = ["Kind", "Outcome", "run_inline", "run_inline_batch"]

#: A handler function of any form.
HandlerFunction = Callable[..., Any]
#: Message attributes as `Forward` takes them.
Attributes = Mapping[str, str | bytes | int | float | MessageAttribute]


def run_inline(
    handler: HandlerFunction,
    body: object,
    *,
    attributes: Mapping[str, str] | None = None,
    message_attributes: Attributes | None = None,
    receive_count: int = 1,
    group: str | None = None,
    queue: str = "test",
    middleware: Sequence[Middleware] = (),
    envelope: str = "",
) -> Outcome:
    """What a handler function makes of a message: `outcome.kind` is Kind.ACK, RETRY, REJECT or FORWARD.

    `body` is text or bytes, as sent; anything else is sent as JSON. `attributes` are further system attributes, as SQS
    names them. An `async def` runs on an event loop of its own; a function that takes a list gets a list of one. An
    exception is a retry, as in production, with its text in `outcome.reason`; its traceback goes to standard error.
    SystemExit and KeyboardInterrupt would end a handler process, so they are raised here. `middleware` goes around the
    handler function, outermost first; `envelope` is as in a queue's table. Raises ValueError or TypeError for message
    attributes that SQS would refuse, and TypeError for functions that a handler process would refuse.

        assert run_inline(place_order, {"order": 7}).kind is Kind.ACK
    """
    system = {"ApproximateReceiveCount": str(receive_count)} | dict(attributes or {})
    if group is not None:
        system["MessageGroupId"] = group
    parcel = _parcel(1, body, attributes=system, message_attributes=message_attributes or {})
    return _run(wrap_fitting(typed(handler, envelope=envelope), middleware), [parcel], queue)[0]


def run_inline_batch(
    handler: HandlerFunction,
    bodies: Sequence[object],
    *,
    queue: str = "test",
    middleware: Sequence[Middleware] = (),
    envelope: str = "",
) -> list[Outcome]:
    """What a handler function that takes a list makes of these messages: an outcome for each, in their order.

    All else is as in `run_inline`. Raises TypeError for a handler function that takes one message.
    """
    function = typed(handler, envelope=envelope)
    if not form_of(function).batch:
        raise TypeError("this handler function takes one message: its argument is not annotated as list[Message]")
    parcels = [_parcel(seq, body, attributes={"ApproximateReceiveCount": "1"}) for seq, body in enumerate(bodies, 1)]
    return _run(wrap_fitting(function, middleware), parcels, queue)


def _run(handler: HandlerFunction, parcels: list[Parcel], queue: str) -> list[Outcome]:
    form = form_of(handler)
    attempt = Attempt(parcels=parcels, messages=[_message(one, queue) for one in parcels], places=[])
    if form.asynchronous:
        outcomes = asyncio.run(perform_async(handler, attempt, batch=form.batch, report=_show))
    else:
        outcomes = perform(handler, attempt, batch=form.batch, report=_show)
    return [outcome or Outcome(parcel.seq, Kind.ACK) for outcome, parcel in zip(outcomes, parcels, strict=True)]


def _parcel(
    seq: int, body: object, *, attributes: Mapping[str, str], message_attributes: Attributes | None = None
) -> Parcel:
    sent_at = str(int(time.time() * 1000))
    return Parcel(
        seq=seq,
        attempt=1,
        expires=now() + LONGEST_LEASE,
        id=f"00000000-0000-4000-8000-{seq - 1:012d}",
        attributes={"ApproximateFirstReceiveTimestamp": sent_at, "SentTimestamp": sent_at} | dict(attributes),
        message_attributes=encode(message_attributes or {}),
        body=_as_bytes(body),
    )


def _message(parcel: Parcel, queue: str) -> Message:
    return Message(
        id=parcel.id,
        body=parcel.body,
        queue=queue,
        attributes=parcel.attributes,
        attempt=parcel.attempt,
        deadline=now() + QueueSettings(name=queue, handler="").handler_timeout,
        clock=now,
        latest=parcel.expires,
    )


def _as_bytes(body: object) -> bytes:
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else orjson.dumps(body)


def _show(_message: Message, error: BaseException) -> None:
    traceback.print_exception(error)
