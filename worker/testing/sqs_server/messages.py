"""SQS server process: a message as the queue keeps it, and how a receive shows it."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from worker.testing.sqs_server import limits
from worker.testing.sqs_server.errors import unknown_attribute
from worker.testing.sqs_server.message_attributes import select

#: States of a message within its queue: it is in exactly one of them.
READY: Final = 0
DELAYED: Final = 1
IN_FLIGHT: Final = 2
#: Deleted, moved, purged or expired: a line or heap may still name it, and skips it.
GONE: Final = 3

_SYSTEM_ATTRIBUTES: Final = frozenset(
    {
        "SenderId",
        "SentTimestamp",
        "ApproximateReceiveCount",
        "ApproximateFirstReceiveTimestamp",
        "SequenceNumber",
        "MessageDeduplicationId",
        "MessageGroupId",
        "AWSTraceHeader",
        "DeadLetterQueueSourceArn",
    }
)
#: Queue attributes that AttributeNames of ReceiveMessage also takes, and gives nothing for (the API's shared enum).
_SILENT: Final = frozenset({"All", "SqsManagedSseEnabled"})


@dataclass(slots=True, eq=False)
class Message:
    """One message; times are seconds of the server's clock, `sequence` counts messages of its queue."""

    message_id: str
    body: str
    body_md5: str
    sent: float
    attributes: dict[str, Any] | None = None
    attributes_md5: str | None = None
    trace_header: str | None = None
    group: str | None = None
    deduplication_id: str | None = None
    sequence_number: str | None = None
    source_arn: str | None = None
    sequence: int = 0
    state: int = READY
    #: When it becomes visible, while DELAYED or IN_FLIGHT.
    visible_at: float = 0.0
    #: Number of its newest receipt; also its receives, as each one gives a new receipt.
    receipt: int = 0
    #: Receives in this queue, and in all queues it was in.
    receives: int = 0
    total_receives: int = 0
    first_received: float = 0.0
    #: When the newest receipt was given out: the 12 hours count from here.
    received: float = 0.0
    #: Times its visibility was changed, so that a receive attempt id knows that it may not be repeated.
    changes: int = 0

    def moved(self, source_arn: str, *, fifo: bool, now: float) -> "Message":
        """The message as its dead-letter queue gets it; a FIFO queue counts it as sent now, under another id."""
        return Message(
            self.message_id,
            self.body,
            self.body_md5,
            now if fifo else self.sent,
            attributes=self.attributes,
            attributes_md5=self.attributes_md5,
            trace_header=self.trace_header,
            group=self.group,
            deduplication_id=self.message_id if fifo else None,
            source_arn=source_arn,
            total_receives=self.total_receives,
            first_received=self.first_received,
        )

    def redriven(self, message_id: str, *, now: float) -> "Message":
        """The message as a move task sends it: AWS counts it as a new one, with its own id, time and receive count."""
        return Message(
            message_id,
            self.body,
            self.body_md5,
            now,
            attributes=self.attributes,
            attributes_md5=self.attributes_md5,
            trace_header=self.trace_header,
            group=self.group,
            deduplication_id=message_id if self.sequence_number else None,
        )


@dataclass(frozen=True, slots=True)
class Selection:
    """What a receive asked to see; `system` is None where it asked for nothing."""

    system: frozenset[str] | None
    attributes: tuple[str, ...]


@lru_cache(maxsize=256)
def selection(system: tuple[str, ...], attributes: tuple[str, ...]) -> Selection:
    """Reads AttributeNames and MessageSystemAttributeNames (one list) and MessageAttributeNames.

    Cached, since a poller asks for the same thing in every receive.
    """
    for name in system:
        if name not in _SYSTEM_ATTRIBUTES and name not in _SILENT:
            raise unknown_attribute(name)
    if not system:
        return Selection(None, attributes)
    return Selection(_SYSTEM_ATTRIBUTES if "All" in system else frozenset(system), attributes)


def milliseconds(seconds: float) -> str:
    """A time as the API shows it."""
    return str(int(seconds * 1000))


def _system_attributes(message: Message, wanted: frozenset[str]) -> dict[str, str]:
    every = {
        "SenderId": limits.ACCOUNT,
        "SentTimestamp": milliseconds(message.sent),
        "ApproximateReceiveCount": str(message.total_receives),
        "ApproximateFirstReceiveTimestamp": milliseconds(message.first_received),
    }
    if message.group is not None:
        every["MessageGroupId"] = message.group
    if message.sequence_number is not None:
        every["SequenceNumber"] = message.sequence_number
        every["MessageDeduplicationId"] = message.deduplication_id or ""
    if message.trace_header is not None:
        every["AWSTraceHeader"] = message.trace_header
    if message.source_arn is not None:
        every["DeadLetterQueueSourceArn"] = message.source_arn
    if wanted is _SYSTEM_ATTRIBUTES:
        return every
    return {name: value for name, value in every.items() if name in wanted}


def shown(message: Message, handle: str, asked: Selection) -> dict[str, Any]:
    """The message as one element of `Messages` in the answer of ReceiveMessage."""
    answer: dict[str, Any] = {
        "MessageId": message.message_id,
        "ReceiptHandle": handle,
        "MD5OfBody": message.body_md5,
        "Body": message.body,
    }
    if asked.system is not None:
        system = _system_attributes(message, asked.system)
        if system:
            answer["Attributes"] = system
    if message.attributes and asked.attributes:
        attributes, md5 = select(message.attributes, asked.attributes, message.attributes_md5)
        if attributes:
            answer["MD5OfMessageAttributes"] = md5
            answer["MessageAttributes"] = attributes
    return answer
