"""Handler process: the events of EventBridge.

https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from worker.envelopes.fields import Source, bytes_of, read
from worker.message import Message

_KIND = "EventBridge event"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBridgeEvent:
    """One event of a bus, a schedule, or an AWS service."""

    id: str  #: the same in every delivery of this event
    detail_type: str
    source: str  #: such as aws.s3, or the application's own
    time: str  #: ISO 8601, UTC, as EventBridge wrote it
    account: str | None = None
    region: str | None = None
    resources: tuple[str, ...] = ()  #: ARNs
    detail: Mapping[str, Any] = field(repr=False)  #: the payload
    original: bytes = field(repr=False)  #: the body that it was read from

    @property
    def body(self) -> bytes:
        """The payload as JSON; integers beyond 64 bits have become floats."""
        return orjson.dumps(self.detail)


def eventbridge(source: Source) -> EventBridgeEvent:
    """The event in a message. Raises Reject("decode: ...")."""
    if isinstance(source, Message) and isinstance(source.envelope, EventBridgeEvent):
        return source.envelope  # the queue's table has `envelope = "eventbridge"`
    fields = read(source, _KIND)
    resources = fields.array("resources") if fields.raw.get("resources") is not None else []
    if not all(isinstance(one, str) for one in resources):
        raise fields.misfit("resources", "expected strings")
    return EventBridgeEvent(
        id=fields.text("id"),
        detail_type=fields.text("detail-type"),
        source=fields.text("source"),
        time=fields.text("time"),
        account=fields.optional_text("account"),
        region=fields.optional_text("region"),
        resources=tuple(resources),
        detail=fields.inner("detail").raw,
        original=bytes_of(source),
    )
