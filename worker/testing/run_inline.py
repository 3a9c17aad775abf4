"""Test process: runs a handler function on one message, as a handler process would, without any process or queue."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping

import orjson

from worker.handler.attributes import encode
from worker.handler.run import HandlerFunction, run
from worker.handler.signals import Alarm
from worker.message import LONGEST_LEASE, Kind, Message, MessageAttribute
from worker.platform import now
from worker.protocol import Outcome, Parcel
from worker.settings import QueueSettings

__all__ = ["Kind", "Outcome", "run_inline"]

_ID = "00000000-0000-4000-8000-000000000000"


def run_inline(
    handler: HandlerFunction,
    body: object,
    *,
    attributes: Mapping[str, str] | None = None,
    message_attributes: Mapping[str, str | bytes | int | float | MessageAttribute] | None = None,
    receive_count: int = 1,
    group: str | None = None,
    queue: str = "test",
) -> Outcome:
    """What a handler function makes of a message: `outcome.kind` is Kind.ACK, RETRY, REJECT or FORWARD.

    `body` is text or bytes, as sent; anything else is sent as JSON. `attributes` are further system attributes, as SQS
    names them. An exception is a retry, as in production, with its text in `outcome.reason`; its traceback goes to
    standard error. SystemExit and KeyboardInterrupt would end a handler process, so they are raised here. Raises
    ValueError or TypeError for message attributes that SQS would refuse.

        assert run_inline(place_order, {"order": 7}).kind is Kind.ACK
    """
    sent_at = str(int(time.time() * 1000))
    system = {
        "ApproximateReceiveCount": str(receive_count),
        "ApproximateFirstReceiveTimestamp": sent_at,
        "SentTimestamp": sent_at,
    }
    if group is not None:
        system["MessageGroupId"] = group
    started = now()
    parcel = Parcel(
        seq=1,
        attempt=1,
        expires=started + LONGEST_LEASE,
        id=_ID,
        attributes=system | dict(attributes or {}),
        message_attributes=encode(message_attributes or {}),
        body=_as_bytes(body),
    )
    message = Message(
        id=parcel.id,
        body=parcel.body,
        queue=queue,
        attributes=parcel.attributes,
        attempt=parcel.attempt,
        deadline=started + QueueSettings(name=queue, handler="").handler_timeout,
        clock=now,
        latest=parcel.expires,
    )
    outcome = run(handler, message, parcel, alarm=Alarm(), report=_show)
    return Outcome(parcel.seq, Kind.ACK) if outcome is None else outcome


def _as_bytes(body: object) -> bytes:
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else orjson.dumps(body)


def _show(_message: Message, error: BaseException) -> None:
    traceback.print_exception(error)
