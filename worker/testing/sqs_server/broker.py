"""SQS server process: all queues of the account, by region and name, and what binds them together."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from worker.testing.sqs_server import limits, queue_attributes, redrive
from worker.testing.sqs_server.errors import SqsError, missing_parameter, no_such_queue
from worker.testing.sqs_server.events import EventLog
from worker.testing.sqs_server.ids import Ids
from worker.testing.sqs_server.long_polls import LongPoll, LongPolls
from worker.testing.sqs_server.messages import Message
from worker.testing.sqs_server.moves import MoveTasks
from worker.testing.sqs_server.queue import Queue


@dataclass(frozen=True, slots=True)
class Options:
    """Where the server may differ from SQS, for tests. The defaults are what SQS does."""

    #: Messages of one queue in flight before receives get none.
    in_flight_limit: int = limits.IN_FLIGHT
    #: Whether a queue's name rests for 60 s after its deletion, and a queue for 60 s between two purges.
    cooldowns: bool = True
    #: Whether a change of visibility is refused with MessageNotInflight on standard queues too; see receipt_rules.
    strict_visibility: bool = False


@dataclass(slots=True)
class Caller:
    """Who asks: the region of the credentials, and the connection, which the event log names."""

    region: str = "us-east-1"
    #: Queue URLs are this, the account and the name.
    url_base: str = "http://localhost:4566"
    connection: int = 0
    request: int = 0
    #: The header X-Amzn-Trace-Id of the request.
    trace_header: str | None = None
    #: The path that was posted to: it names the queue of a request without QueueUrl.
    path: str = "/"


@dataclass(slots=True)
class Entry:
    """A queue with what only the queue actions look at; times in seconds."""

    queue: Queue
    attributes: dict[str, str]
    tags: dict[str, str]
    created: float
    modified: float
    purged: float = float("-inf")


@dataclass(slots=True)
class Region:
    """The queues of one region. `by_url` remembers which queue a QueueUrl meant, as it comes with every call."""

    name: str
    entries: dict[str, Entry] = field(default_factory=dict)
    by_url: dict[str, Entry] = field(default_factory=dict)
    deleted: dict[str, float] = field(default_factory=dict)


class Broker:
    """The state of the whole server. Nothing in it knows a clock, a socket or chance: `ids` and times are passed in."""

    def __init__(self, ids: Ids, *, options: Options | None = None, events: EventLog | None = None) -> None:
        self.ids = ids
        self.options = options or Options()
        self.events = events
        self.polls = LongPolls()
        self.moves = MoveTasks(self._queue_of_arn, new_id=ids.message_id, events=events)
        self._regions: dict[str, Region] = {}

    def region(self, name: str) -> Region:
        """The region of a caller; made when it is first asked for."""
        region = self._regions.get(name)
        if region is None:
            region = self._regions[name] = Region(name)
        return region

    def regions(self) -> list[Region]:
        """Every region that was asked for."""
        return list(self._regions.values())

    def entry(self, url: str | None, caller: Caller) -> Entry:
        """The queue of a QueueUrl: a URL that ends in /account/name, or just the name (recorded on AWS)."""
        region = self.region(caller.region)
        if not url:
            if len(caller.path) <= 1:
                raise missing_parameter("QueueUrl")
            url = caller.path
        entry = region.by_url.get(url)
        if entry is not None:
            return entry
        path, _, name = url.rpartition("/")
        if path:
            account = path.rpartition("/")[2]
            if not account.isdigit() or not name:
                raise SqsError("InvalidAddress", f"The address {url} is not valid for this endpoint.")
            if account != limits.ACCOUNT:
                raise no_such_queue()
        entry = region.entries.get(name)
        if entry is None:
            raise no_such_queue()
        region.by_url[url] = entry
        return entry

    def entry_of_arn(self, arn: str) -> Entry | None:
        """The queue of an ARN; None where there is none."""
        read = redrive.read_arn(arn)
        if read is None or read.account != limits.ACCOUNT or read.region not in self._regions:
            return None
        return self._regions[read.region].entries.get(read.name)

    def _queue_of_arn(self, arn: str) -> Queue | None:
        entry = self.entry_of_arn(arn)
        return entry.queue if entry is not None else None

    def arn(self, region: str, name: str) -> str:
        """The ARN of a queue of this account."""
        return f"arn:aws:sqs:{region}:{limits.ACCOUNT}:{name}"

    def create(self, name: str, attributes: dict[str, str], *, caller: Caller, now: float) -> Entry:
        """Makes a queue with complete, valid attributes."""
        region = self.region(caller.region)
        queue = Queue(
            self.arn(region.name, name),
            queue_attributes.settings(attributes),
            by_group=attributes.get("DeduplicationScope") == "messageGroup",
            receipts=self.ids.receipts(),
            wake=self.polls.touch,
        )
        queue.events = self.events
        entry = Entry(queue, attributes, {}, created=now, modified=now)
        region.entries[name] = entry
        region.deleted.pop(name, None)
        return entry

    def delete(self, entry: Entry, *, caller: Caller, now: float) -> None:
        """Takes a queue away with everything in it. Its pending polls end empty."""
        region = self.region(caller.region)
        del region.entries[entry.queue.name]
        region.deleted[entry.queue.name] = now
        region.by_url = {url: other for url, other in region.by_url.items() if other is not entry}
        entry.queue.purge()
        self.polls.end(entry.queue)

    def dead_letter(self, queue: Queue, now: float) -> Callable[[Message], None] | None:
        """What moves a message of this queue to its dead-letter queue; None without one, or where it was deleted."""
        policy = queue.settings.redrive
        target = self.entry_of_arn(policy.target) if policy is not None else None
        if target is None:
            return None
        destination = target.queue

        def move(message: Message) -> None:
            moved = message.moved(queue.arn, fifo=destination.settings.fifo, now=now)
            destination.add(moved, 0.0, now=now)
            if self.events is not None:
                self.events.record(
                    "redrive", now=now, queue=queue.name, target=destination.name, message_id=message.message_id
                )

        return move

    @property
    def busy(self) -> bool:
        """Whether `complete` has something to do now, and `next_moment` may have changed."""
        return self.polls.busy or self.moves.started

    def complete(self, now: float) -> list[tuple[LongPoll, dict[str, Any] | SqsError]]:
        """Does what is due: moves messages, and ends long polls; these are returned with their answers."""
        self.moves.run(now)
        return self.polls.complete(now)

    def next_moment(self) -> float | None:
        """When `complete` should be called again, unless a call makes the broker busy before; None for never."""
        moments = [moment for moment in (self.polls.next_moment(), self.moves.next_moment()) if moment is not None]
        return min(moments, default=None)
