"""Handler process: takes the body of a message out of its envelope, where the queue's table names one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from worker.envelopes.cloudevents import cloudevent
from worker.envelopes.eventbridge import eventbridge
from worker.envelopes.sns import sns
from worker.message import Message


class _Envelope(Protocol):
    @property
    def body(self) -> bytes: ...


#: By the key of the queue's table. (An event of S3 has records, and no payload.)
_READERS: dict[str, Callable[[Message], _Envelope]] = {
    "sns": sns,
    "eventbridge": eventbridge,
    "cloudevents": cloudevent,
}


def opener(envelope: str) -> Callable[[Message], None]:
    """What makes `message.body` the payload and `message.envelope` what was around it. Raises ValueError.

    It raises Reject("decode: ...") for a body that is no such envelope, and leaves the message as it is.
    """
    read = _READERS.get(envelope)
    if read is None:
        raise ValueError(f"envelope={envelope!r}: known are {', '.join(_READERS)}")

    def open_envelope(message: Message) -> None:
        found = read(message)
        message.body = found.body
        message.envelope = found

    return open_envelope
