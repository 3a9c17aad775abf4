"""SQS server process: what a FIFO queue remembers for five minutes: deduplication ids, and receive attempt ids."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from worker.testing.sqs_server import limits

#: Scope of a deduplication id that holds in the whole queue.
_QUEUE: Final = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """The message that a deduplication id stands for."""

    message_id: str
    sequence_number: str


class Deduplication:
    """Deduplication ids of the last five minutes, of the queue or of each group.

    A changed DeduplicationScope takes hold after a minute: AWS says so of all attributes, and was recorded still using
    the old scope right after the change.
    """

    __slots__ = ("_by_group", "_ends", "_known", "_next_by_group", "_switch_at")

    def __init__(self, *, by_group: bool) -> None:
        self._by_group = by_group
        self._next_by_group = by_group
        self._switch_at = 0.0
        self._known: dict[tuple[str, str], Sent] = {}
        self._ends: deque[tuple[float, tuple[str, str]]] = deque()

    def change_scope(self, *, by_group: bool, now: float) -> None:
        """Called when the queue's DeduplicationScope was set."""
        if by_group != self._next_by_group:
            self._next_by_group = by_group
            self._switch_at = now + limits.PROPAGATION_SECONDS

    def _key(self, group: str, deduplication_id: str, now: float) -> tuple[str, str]:
        if now >= self._switch_at:
            self._by_group = self._next_by_group
        return (group if self._by_group else _QUEUE, deduplication_id)

    def find(self, group: str, deduplication_id: str, now: float) -> Sent | None:
        """The message that was sent with this id in the last five minutes."""
        while self._ends and self._ends[0][0] <= now:
            del self._known[self._ends.popleft()[1]]
        return self._known.get(self._key(group, deduplication_id, now))

    def remember(self, group: str, deduplication_id: str, *, sent: Sent, now: float) -> None:
        """A message was sent with this id. `find` was called just before and found nothing."""
        key = self._key(group, deduplication_id, now)
        self._known[key] = sent
        self._ends.append((now + limits.DEDUPLICATION_SECONDS, key))

    def clear(self) -> None:
        """A purge clears it too (recorded on AWS)."""
        self._known.clear()
        self._ends.clear()


@dataclass(frozen=True, slots=True)
class Given:
    """One message of a remembered receive: which, by which receipt, and how often its visibility had been changed."""

    sequence: int
    receipt: int
    changes: int


class Attempts:
    """Receive attempt ids of the last five minutes and what each of them got."""

    __slots__ = ("_ends", "_given")

    def __init__(self) -> None:
        self._given: dict[str, tuple[float, tuple[Given, ...]]] = {}
        self._ends: deque[tuple[float, str]] = deque()

    def find(self, attempt_id: str, now: float) -> tuple[Given, ...] | None:
        """What the attempt got; None where it is not known (any more)."""
        while self._ends and self._ends[0][0] <= now:
            end, ended = self._ends.popleft()
            known = self._given.get(ended)
            # A repeated attempt was remembered anew: only its last end counts.
            if known is not None and known[0] <= end:
                del self._given[ended]
        given = self._given.get(attempt_id)
        return given[1] if given is not None else None

    def remember(self, attempt_id: str, given: tuple[Given, ...], *, now: float) -> None:
        """The attempt got these messages."""
        end = now + limits.DEDUPLICATION_SECONDS
        self._given[attempt_id] = (end, given)
        self._ends.append((end, attempt_id))

    def clear(self) -> None:
        """Forgets everything."""
        self._given.clear()
        self._ends.clear()
