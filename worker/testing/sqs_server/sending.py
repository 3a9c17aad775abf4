"""SQS server process: turns an entry of SendMessage or SendMessageBatch into a message, or refuses it."""

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Final

from worker.testing.sqs_server import limits, message_attributes
from worker.testing.sqs_server.errors import SqsError, invalid_parameter, invalid_value, missing_parameter
from worker.testing.sqs_server.fields import integer, text
from worker.testing.sqs_server.queue_attributes import QueueSettings

#: Group and deduplication ids: alphanumeric characters and punctuation (SendMessage).
_ID: Final = re.compile(r"[!-~]{1,128}", re.ASCII)
_WRONG_TYPE: Final = "The request include parameter that is not valid for this queue type"


@dataclass(slots=True)
class Draft:
    """What one send asks for, checked; `delay` is in seconds, `size` in bytes of body and attributes."""

    body: str
    body_md5: str
    size: int
    delay: float
    attributes: dict[str, Any] | None = None
    attributes_md5: str | None = None
    trace_header: str | None = None
    group: str | None = None
    deduplication_id: str | None = None


def _checked_id(value: str, parameter: str) -> str:
    if not _ID.fullmatch(value):
        raise invalid_value(
            value,
            parameter,
            f"{parameter} can only include alphanumeric and punctuation characters. 1 to 128 in length.",
        )
    return value


def _delay(fields: dict[str, Any], settings: QueueSettings) -> float:
    delay = integer(fields, "DelaySeconds")
    if delay is None:
        return settings.delay
    if settings.fifo:
        if delay != 0:
            raise invalid_value(delay, "DelaySeconds", f"{_WRONG_TYPE}.")
        return settings.delay
    if not 0 <= delay <= limits.DELAY_SECONDS:
        raise invalid_value(delay, "DelaySeconds", "DelaySeconds must be >= 0 and <= 900.")
    return float(delay)


def _order_fields(fields: dict[str, Any], draft: Draft, settings: QueueSettings, *, raw: bytes, batch: bool) -> None:
    """Reads MessageGroupId and MessageDeduplicationId. On a standard queue a group makes it a fair queue, no FIFO."""
    group = text(fields, "MessageGroupId")
    deduplication_id = text(fields, "MessageDeduplicationId")
    if group is not None:
        draft.group = _checked_id(group, "MessageGroupId")
    if not settings.fifo:
        if deduplication_id is not None:
            if batch:
                raise invalid_parameter(_WRONG_TYPE)
            raise invalid_value(deduplication_id, "MessageDeduplicationId", f"{_WRONG_TYPE}.")
        return
    if group is None:
        error = missing_parameter("MessageGroupId")
        raise invalid_parameter(error.message) if batch else error
    if deduplication_id is not None:
        draft.deduplication_id = _checked_id(deduplication_id, "MessageDeduplicationId")
    elif settings.content_based_deduplication:
        draft.deduplication_id = hashlib.sha256(raw).hexdigest()
    else:
        raise invalid_parameter(
            "The queue should either have ContentBasedDeduplication enabled"
            " or MessageDeduplicationId provided explicitly"
        )


def draft(fields: dict[str, Any], settings: QueueSettings, *, position: int = 0) -> Draft:
    """Checks one send; `position` is the entry's place in a batch, from 1, and 0 for SendMessage.

    Raises SqsError. The size of a batch as a whole is the caller's to check, by `size` of the drafts.
    """
    body = text(fields, "MessageBody")
    if not body:
        raise missing_parameter(f"SendMessageBatchRequestEntry.{position}.MessageBody" if position else "MessageBody")
    raw = body.encode()
    forbidden = message_attributes.forbidden_character(body, raw)
    if forbidden:
        raise SqsError(
            "InvalidMessageContents",
            f"Invalid binary character '{forbidden}' was found in the message body, the set of allowed characters is"
            " #x9 | #xA | #xD | [#x20 to #xD7FF] | [#xE000 to #xFFFD] | [#x10000 to #x10FFFF]",
        )
    md5 = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    made = Draft(body, md5, len(raw), _delay(fields, settings))
    if fields.get("MessageAttributes"):
        attributes = message_attributes.read(fields)
        if attributes is not None:
            made.attributes, made.attributes_md5, size = attributes
            made.size += size
    if fields.get("MessageSystemAttributes"):
        made.trace_header = message_attributes.read_trace_header(fields)
    _order_fields(fields, made, settings, raw=raw, batch=position > 0)
    return made


def check_size(made: Draft, settings: QueueSettings, *, batch: bool) -> None:
    """Refuses a message above the queue's MaximumMessageSize."""
    if made.size > settings.maximum_size:
        # A standard queue's batch entry fails alone, and AWS words that differently (recorded on AWS).
        verdict = "cannot be validated" if batch and not settings.fifo else "are invalid"
        raise invalid_parameter(
            f"One or more parameters {verdict}. Reason: Message must be shorter than {settings.maximum_size} bytes."
        )
