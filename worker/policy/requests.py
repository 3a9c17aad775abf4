"""Pure rules: what the poller asks of SQS and what comes back. `aws` makes it true; a simulation may as well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from worker.policy.delivery import Received
from worker.policy.failures import Failure

#: Entries of one batch request (SQS limit), and bytes of one message or one send batch (1 MiB, bodies and attributes).
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
BATCH = 10
BATCH_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Receive:
    """One long poll."""

    count: int  #: messages at most
    wait: int  #: seconds
    visibility: int  #: seconds; sent on every receive, so that no queue default can undercut our beats
    attempt: str = ""  #: ReceiveRequestAttemptId, on FIFO queues


@dataclass(frozen=True, slots=True)
class Delete:
    """One batch of deletes."""

    receipts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hide:
    """One batch of visibility changes: receipts with whole seconds."""

    entries: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to send."""

    body: bytes
    attributes: Mapping[str, Mapping[str, str]]
    group_id: str | None = None
    deduplication_id: str | None = None
    delay: int | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """One batch of messages to a queue, a URL or a name."""

    queue: str
    entries: tuple[Outgoing, ...]


class Depth(NamedTuple):
    """How many messages a queue has, all three approximate."""

    visible: int  #: they wait
    in_flight: int  #: received by somebody, or hidden
    delayed: int


@dataclass(frozen=True, slots=True)
class Look:
    """How many messages the queue has: one GetQueueAttributes."""


Request = Receive | Delete | Hide | Send | Look


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request. Either `failure` is set, or the field that belongs to the request."""

    token: object  #: what the asker gave along
    request: Request
    sent_at: float  #: when the call was sent, platform.now()
    failure: Failure | None = None
    messages: tuple[Received, ...] = ()  #: Receive
    unusable: int = 0  #: Receive: messages without a receipt handle or id, which nobody can settle
    entries: tuple[Failure | None, ...] = ()  #: batches: per entry, in order, None where it is confirmed
    message_ids: tuple[str, ...] = ()  #: Send: per entry, in order, as SQS named it; empty where it is not confirmed
    depth: Depth | None = None  #: Look


class Sqs(Protocol):
    """Calls to SQS that never block: they are started, and their answers are fetched when `fileno` is readable.

    answers() may do a client's own work as well, so it is called whenever `fileno` is readable or due() says so.
    """

    def start(self, request: Request, token: object) -> None: ...
    def answers(self) -> list[Answer]: ...
    def fileno(self) -> int: ...
    def due(self, now: float) -> float: ...  # seconds till answers() has something to do though nothing is readable
    @property
    def receiving(self) -> int: ...  # receives on their way
    @property
    def settling(self) -> int: ...  # other calls on their way
