"""Handler process: what a handler function gets and what it may answer. Importing this costs nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import orjson

#: SQS keeps a message hidden for 12 hours from its receive at most, whatever is asked; 5 s are kept as a margin.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
LONGEST_LEASE = 43_195.0


class Kind(IntEnum):
    """The kinds of outcomes, as they travel between processes."""

    ACK = 1
    RETRY = 2
    REJECT = 3
    FORWARD = 4


class Retry(Exception):
    """Raise or return it: hide the message for `after` seconds (0 to 43,200), or by the queue's backoff if None."""

    def __init__(self, after: float | None = None, reason: str = "") -> None:
        if after is not None and not 0 <= after <= 43_200:
            raise ValueError(f"Retry(after={after!r}): SQS hides a message for 0 to 43,200 seconds")
        super().__init__(reason or "retry")
        self.after = after
        self.reason = reason


class Reject(Exception):
    """Raise or return it: send the message to the dead-letter queue, and delete it once that is confirmed."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """Return it: send `body` to `queue` (a URL or a name), and delete the source once the send is confirmed.

    `attributes` become message attributes: text, bytes, or numbers. A FIFO queue needs `group_id` (the source's group
    if not given); its `deduplication_id` is the source's message id if not given, so a repeated forward is one message.
    `delay` is 0 to 900 seconds, on standard queues. Attributes of the source can be passed on as they are.
    """

    queue: str
    body: bytes | str
    attributes: Mapping[str, str | bytes | int | float | MessageAttribute] = field(default_factory=dict)
    group_id: str | None = None
    deduplication_id: str | None = None
    delay: int | None = None


@dataclass(frozen=True, slots=True)
class MessageAttribute:
    """A message attribute as SQS says: `type` is String, Number or Binary, with an optional label after a dot."""

    type: str
    value: str | bytes


class LeaseLost(Exception):
    """The message is somebody else's by now: what the handler function does with it may happen twice."""


class SoftTimeout(Exception):
    """Raised in a handler function that is past its deadline; a second later its process is killed.

    It can be caught to clean up, and to return or raise an outcome in time. Not caught, it is a retry. In a thread it
    waits for the end of a system call; an `async def` that awaits gets asyncio.CancelledError instead.
    """


@dataclass(slots=True, kw_only=True, eq=False)
class Message:
    """One SQS message, as a handler function sees it."""

    id: str  #: MessageId
    body: bytes  #: as it was sent, UTF-8
    queue: str  #: the name of its `[queues.*]` table
    attributes: Mapping[str, str] = field(default_factory=dict)  #: system attributes, as SQS names them
    message_attributes: Mapping[str, MessageAttribute] = field(default_factory=dict)
    attempt: int = 1  #: starts of a handler function on this message that this pool knows of, this one included
    deadline: float = float("inf")  #: when the handler function is stopped, in seconds of `clock`
    clock: Callable[[], float] = field(default=lambda: 0.0, repr=False)
    move_deadline: Callable[[float], None] | None = field(default=None, repr=False)
    latest: float = float("inf")  #: 12 hours from the receive, in seconds of `clock`
    lease_lost: bool = False  #: True once another consumer may have the message
    #: What `body` was taken out of, where the queue's table has an `envelope`: an SNSNotification, EventBridgeEvent or
    #: CloudEvent of worker.envelopes; its `original` is the body as it was sent.
    envelope: Any = field(default=None, repr=False)

    def json(self) -> Any:
        """The body, decoded by orjson; integers beyond 64 bits come as floats.

        Raises orjson.JSONDecodeError (a ValueError), also for what is nested deeper than 1,024: unhandled, a retry.
        """
        return orjson.loads(self.body)

    @property
    def text(self) -> str:
        """The body as text. Raises UnicodeDecodeError."""
        return self.body.decode()

    @property
    def receive_count(self) -> int:
        """How often SQS gave this message out, by its own approximate count; 1 the first time."""
        return int(self.attributes.get("ApproximateReceiveCount", "1"))

    @property
    def group(self) -> str | None:
        """MessageGroupId; on standard queues too, where it means fairness and not order."""
        return self.attributes.get("MessageGroupId")

    @property
    def sent_at(self) -> float:
        """When the message was sent, in seconds since 1970; 0.0 if SQS did not say."""
        return int(self.attributes.get("SentTimestamp", "0")) / 1000

    @property
    def remaining(self) -> float:
        """Seconds the handler function may still take. Till then the poller keeps the message hidden."""
        return self.deadline - self.clock()

    def extend(self, seconds: float) -> None:
        """Allow the handler function `seconds` from now, at most 12 hours from the receive (the limit of SQS).

        Raises LeaseLost if the message is not ours any more, ValueError if `seconds` is not above 0.
        """
        if not seconds > 0:  # NaN is refused as well
            raise ValueError(f"extend({seconds!r}): the new deadline must lie ahead")
        if self.lease_lost:
            raise LeaseLost(f"message {self.id} of queue {self.queue} was given to somebody else")
        self.deadline = min(self.clock() + seconds, self.latest)
        if self.move_deadline is not None:
            self.move_deadline(self.deadline)
