"""Handler process: what a notification is, how it is cut into messages, and who of it is still to be sent to; pure.

The service writes bodies with `cut`, the handler function reads them with `read`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any
from urllib.parse import quote

CHANNELS = ("line", "email", "sms", "push", "webhook", "recording")
#: So many recipients go to the send-queue, whose messages are quick; more go to the batch-queue.
FEW = 5
#: A message of SQS at most, in bytes; we send no message attributes, which would count as well.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MOST_BYTES = 1_048_576
#: Keys of a table of DynamoDB, in bytes: a partition key (our own take 36), and a sort key.
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
_LONGEST_BATCH, _LONGEST_ID = 256, 1_024
#: What SQS refuses in a body, and JSON can say in another way.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
_NONCHARACTERS = {0xFFFE: "\\ufffe", 0xFFFF: "\\uffff"}
#: All of ASCII that can be seen, but for the percent sign: it marks what is written otherwise.
_SEEN = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "%")


class BadNotification(ValueError):
    """The message is no notification; the text says why, without any of its content."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient of a message."""

    place: int  #: in the message, from 0: what logs name it by
    id: str
    fields: Mapping[str, Any]  #: as the caller gave them, the id included


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """What one message asks for."""

    batch_id: str
    chunk: int  #: number of the message in its batch, from 0
    content: str
    channel: str
    recipients: tuple[Recipient, ...]


@dataclass(frozen=True, slots=True)
class Chunk:
    """One message to send, and the recipients that are in it."""

    body: bytes
    recipients: Sequence[Mapping[str, Any]]


def queue_for(recipients: int) -> str:
    """The queue for a notification to so many recipients in all: "send" or "batch"."""
    return "send" if recipients <= FEW else "batch"


def cut(
    batch_id: str, *, content: str, channel: str, recipients: Sequence[Mapping[str, Any]], most: int
) -> list[Chunk]:
    """The messages of a notification, of at most `most` recipients and 1 MiB each, in the order of the recipients.

    Raises ValueError for what cannot be sent: no recipients, one without an `id`, an unknown channel, values that are
    not JSON, or a recipient that fits no message together with the content.
    """
    _check(content, channel=channel, recipients=recipients)
    texts = [_text(recipient, f"recipient {place}") for place, recipient in enumerate(recipients)]
    about = (_text(batch_id, "the batch id"), _text(content, "content"), _text(channel, "channel"))
    room = MOST_BYTES - len(_body(about, chunk=len(recipients), texts=[]))
    chunks: list[Chunk] = []
    for first, behind in _spans([len(text) for text in texts], most=most, room=room):
        body = _body(about, chunk=len(chunks), texts=texts[first:behind])
        chunks.append(Chunk(body, recipients[first:behind]))
    return chunks


def read(body: bytes) -> Notification:
    """The notification in a message's body. Raises BadNotification."""
    try:
        said = json.loads(body, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError):
        raise BadNotification("the body is not JSON") from None
    if not isinstance(said, dict):
        raise BadNotification("the body is not a JSON object")
    missing = [name for name in ("batch_id", "chunk", "content", "channel", "recipients") if name not in said]
    if missing:
        raise BadNotification(f"missing {'field' if len(missing) == 1 else 'fields'}: {', '.join(missing)}")
    batch_id, chunk, recipients = said["batch_id"], said["chunk"], said["recipients"]
    if not isinstance(batch_id, str) or not 0 < len(_bytes(batch_id, "batch_id")) <= _LONGEST_BATCH:
        raise BadNotification(f"batch_id is not text of 1 to {_LONGEST_BATCH} bytes")
    if not isinstance(chunk, int) or isinstance(chunk, bool):
        raise BadNotification("chunk is not a whole number")
    try:
        _check(said["content"], channel=said["channel"], recipients=recipients)
        _bytes(said["content"], "content")
    except ValueError as error:
        raise BadNotification(str(error)) from None
    return Notification(
        batch_id=batch_id,
        chunk=chunk,
        content=said["content"],
        channel=said["channel"],
        recipients=tuple(Recipient(place, _id(one, place), one) for place, one in enumerate(recipients)),
    )


def outstanding(recipients: Sequence[Recipient], *, delivered: Collection[str], receive: int) -> list[Recipient]:
    """Who is still to be sent to, in the order in which to try; an id that stands there twice is sent to once.

    `receive` is the message's receive count: with each the order begins one further on, so that a recipient on whom
    all failed the last time comes last, and keeps nobody from being tried.
    """
    first = {recipient.id: recipient for recipient in reversed(recipients)}
    wanted = [one for one in recipients if first[one.id] is one and one.id not in delivered]
    turn = (receive - 1) % len(wanted) if wanted else 0
    return wanted[turn:] + wanted[:turn]


def delivery_key(batch_id: str, recipient_id: str) -> str:
    """`batch_id:recipient_id`, the same for every try; characters that no HTTP header can have are percent-encoded."""
    return f"{quote(batch_id, safe=_SEEN)}:{quote(recipient_id, safe=_SEEN)}"


def _check(content: object, *, channel: object, recipients: object) -> None:
    if not isinstance(content, str):
        raise ValueError("content is not text")
    if not isinstance(channel, str) or channel not in CHANNELS:
        raise ValueError(f"unknown channel: it is none of {', '.join(CHANNELS)}")
    if not isinstance(recipients, Sequence) or isinstance(recipients, str | bytes):
        raise ValueError("recipients is not a list")
    if not recipients:
        raise ValueError("there are no recipients")
    for place, recipient in enumerate(recipients):
        _id(recipient, place)


def _id(recipient: object, place: int) -> str:
    """The recipient's id as text: 7 and "7" are one recipient. Raises ValueError."""
    if not isinstance(recipient, Mapping):
        raise ValueError(f"recipient {place} is not an object")
    value = recipient.get("id")
    if value is None or value == "":
        raise ValueError(f"recipient {place} has no id")
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise ValueError(f"the id of recipient {place} is neither text nor a whole number")
    text = value if isinstance(value, str) else f"{value:d}" if abs(value) < 10**100 else ""
    if not 0 < len(_bytes(text, f"the id of recipient {place}")) <= _LONGEST_ID:
        raise ValueError(f"the id of recipient {place} has more than {_LONGEST_ID} bytes")
    return text


def _finite(text: str) -> float:
    """A number that JSON can say again. Raises ValueError for NaN, Infinity and 1e999."""
    value = float(text)
    if not isfinite(value):
        raise ValueError
    return value


def _bytes(text: str, name: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise BadNotification(f"{name} holds half a surrogate pair") from None


def _text(value: object, name: str) -> bytes:
    """As JSON. Raises ValueError."""
    try:
        given = dict(value) if isinstance(value, Mapping) else value
        text = json.dumps(given, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.translate(_NONCHARACTERS).encode()
    except (TypeError, ValueError, RecursionError):
        # Without the library's own words: they would show the value.
        raise ValueError(f"{name} has a value that JSON cannot say") from None


def _body(about: tuple[bytes, bytes, bytes], *, chunk: int, texts: Sequence[bytes]) -> bytes:
    batch_id, content, channel = about
    head = b'{"batch_id":%b,"chunk":%d,"content":%b,"channel":%b,"recipients":[' % (batch_id, chunk, content, channel)
    return head + b",".join(texts) + b"]}"


def _spans(sizes: Sequence[int], *, most: int, room: int) -> Iterator[tuple[int, int]]:
    """The first and the one behind the last of each message, filled in order. Raises ValueError if one fits nowhere."""
    first = used = 0
    for place, size in enumerate(sizes):
        if size > room:
            raise ValueError(f"recipient {place} and the content are more than a message of {MOST_BYTES:,} bytes takes")
        if place > first and (place - first == most or used + size + 1 > room):
            yield first, place
            first, used = place, 0
        used += size + (1 if used else 0)
    yield first, len(sizes)
