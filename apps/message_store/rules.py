"""Handler process: what a message is in the table, and what a log line holds; pure: time is an argument."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

#: Bytes of a partition key, and of an item with the names of its attributes.
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
LONGEST_KEY = 2048
LARGEST_ITEM = 400 * 1024
#: Characters of a trace header's root (AWS's own have 35), and of a key in a log line.
_LONGEST_TRACE = 128
_LONGEST_SHOWN = 200

#: An item as DynamoDB's API has it; all attributes are texts.
Item = dict[str, dict[str, str]]


class Invalid(ValueError):
    """The message can never be saved; the text says why, without any of its content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where and when a message came from."""

    message_id: str  #: MessageId
    group_id: str | None  #: MessageGroupId
    sent_at: float  #: seconds since 1970
    queue_name: str


def item(body: bytes, origin: Origin, *, saved_at: float) -> Item:
    """The item of a message; `saved_at` in seconds since 1970. The body is kept as its very text. Raises Invalid."""
    made: Item = {
        "message_id": {"S": key(body, message_id=origin.message_id)},
        "body": {"S": body.decode()},
        "sent_at": {"S": timestamp(origin.sent_at)},
        "saved_at": {"S": timestamp(saved_at)},
        "queue_name": {"S": origin.queue_name},
    }
    if origin.group_id:
        made["group_id"] = {"S": origin.group_id}
    size = sum(len(name) + len(value["S"].encode()) for name, value in made.items())
    if size > LARGEST_ITEM:
        raise Invalid(f"the item would have {size:,} bytes, and DynamoDB takes {LARGEST_ITEM:,}")
    return made


def key(body: bytes, *, message_id: str) -> str:
    """The body's `message_id`, text or whole number, else the SQS MessageId. Raises Invalid."""
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Invalid(f"the body is not JSON: {error.msg} at character {error.pos}") from None
    own = decoded.get("message_id") if isinstance(decoded, dict) else None
    if own is None or own == "":
        return message_id
    if isinstance(own, bool) or not isinstance(own, str | int):
        raise Invalid(f"message_id is neither text nor a whole number, but a {type(own).__name__}")
    if len(str(own).encode()) > LONGEST_KEY:
        raise Invalid(f"message_id has more than {LONGEST_KEY:,} bytes, the most that DynamoDB takes as a key")
    return str(own)


def line(action: str, status: str, *, trace: str, details: Mapping[str, Any], now: float) -> str:
    """A log line; `now` in seconds since 1970."""
    fields = {
        "trace_id": trace,
        "action": action,
        "status": status,
        "details": {
            name: value[:_LONGEST_SHOWN] if isinstance(value, str) else value for name, value in details.items()
        },
        "timestamp": timestamp(now),
    }
    return orjson.dumps(fields).decode()


def trace_id(attributes: Mapping[str, str], *, message_id: str) -> str:
    """The root of the AWSTraceHeader, or else the SQS MessageId: as the pool's own lines of deletes have it.

    https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
    """
    for part in attributes.get("AWSTraceHeader", "").split(";"):
        name, _, root = part.strip().partition("=")
        if name == "Root" and root:
            return root[:_LONGEST_TRACE]
    return message_id


def timestamp(seconds: float) -> str:
    """ISO 8601, UTC, with milliseconds and Z."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
