"""Lambda function: the messages in an event of SQS.

https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worker.message import LONGEST_LEASE
from worker.protocol import Parcel

_SQS = "aws:sqs"
#: How Lambda calls what SQS calls DataType and so on.
_ATTRIBUTE = {"dataType": "DataType", "stringValue": "StringValue", "binaryValue": "BinaryValue"}


class NotSQS(ValueError):
    """The event is none of SQS, or one that nobody can answer; nothing was run. Lambda gives the batch out again."""


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """One message of an event."""

    parcel: Parcel
    queue: str  #: the queue's name
    group: str  #: MessageGroupId of a FIFO queue; empty: any order will do


def read_event(event: Any) -> list[Delivery]:
    """The messages, in the order of the event. Raises NotSQS, whose text holds nothing of a body."""
    if not isinstance(event, Mapping) or "Records" not in event:
        raise NotSQS(f"{_kind(event)}, not one of SQS: it has no Records")
    records = event["Records"]
    if not isinstance(records, list):
        raise NotSQS("the event is malformed: Records is no list")
    return [_delivery(place, record) for place, record in enumerate(records)]


def _kind(event: Any) -> str:
    if not isinstance(event, Mapping):
        return f"the event is a {type(event).__name__}"
    if "detail-type" in event:
        return f"the event is one of EventBridge (source {str(event.get('source'))[:100]!r})"
    if "requestContext" in event:
        return "the event is an HTTP request"
    return "the event is something else"


def _delivery(place: int, record: Any) -> Delivery:
    if not isinstance(record, Mapping):
        raise NotSQS(f"the event is malformed: Records[{place}] is no object")
    source = record.get("eventSource", record.get("EventSource"))
    if source != _SQS:
        raise NotSQS(f"Records[{place}] is one of {str(source)[:100]!r}, not of {_SQS!r}")
    message_id, body, arn = (_text(record, place, name) for name in ("messageId", "body", "eventSourceARN"))
    raw = record.get("attributes")
    system = {name: value for name, value in raw.items() if isinstance(value, str)} if isinstance(raw, Mapping) else {}
    attributes = record.get("messageAttributes")
    parcel = Parcel(
        seq=place,
        attempt=1,
        expires=time.monotonic() + LONGEST_LEASE,
        id=message_id,
        attributes=system,
        message_attributes=_attributes(attributes) if attributes else {},
        # surrogatepass: what SQS refuses, an emulator may deliver; the handler function has to see it.
        body=body.encode("utf-8", "surrogatepass"),
    )
    # By the suffix, never by MessageGroupId: fair queues put that on standard queues.
    group = system.get("MessageGroupId", "") if arn.endswith(".fifo") else ""
    return Delivery(parcel, arn.rpartition(":")[2], group)


def _text(record: Mapping[str, Any], place: int, name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str):
        raise NotSQS(f"the event is malformed: Records[{place}] has no {name}")
    return value


def _attributes(raw: Any) -> dict[str, dict[str, str]]:
    """As SQS's JSON has them. One that is none stays without a type, and fails its own message when it is decoded."""
    if not isinstance(raw, Mapping):
        return {"": {}}
    return {str(name): _attribute(one) if isinstance(one, Mapping) else {} for name, one in raw.items()}


def _attribute(raw: Mapping[str, Any]) -> dict[str, str]:
    return {ours: raw[theirs] for theirs, ours in _ATTRIBUTE.items() if isinstance(raw.get(theirs), str)}
