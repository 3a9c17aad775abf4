"""Every process: what a child writes into shared memory, so that its successor and its siblings know after its death.

Each mapping has exactly one writer, and no lock. Every number is one aligned word of 8 bytes, written by one store, so
a reader, and whoever comes after a SIGKILL, sees the old or the new one. (struct.pack_into must not be used here: it
clears the bytes before it fills them, and a reader in between saw 2 % zeros.) The supervisor makes a mapping per child;
it survives the child.

- `HandlerSlot`: which messages a handler runs, a ring of their outcomes, progress.
- `PollerSlot`: a poller's counters and progress.

The lease table of a poller is in `leases.py`.
"""

from __future__ import annotations

import mmap
from array import array
from enum import IntEnum
from typing import NamedTuple

from worker.telemetry import AWAITED, COUNTERS, LIMITS, TROUBLES

#: Outcomes a handler's ring holds at least.
RING = 1024

#: Places of words in a handler's slot. A running entry is sequence, started, deadline; an outcome is sequence, kind,
#: after.
_PID, _DONE, _FAILED, _BUSY, _RESIDENT, _PROGRESS, _WRITTEN, _RUNNING = 0, 2, 3, 4, 5, 6, 7, 8
_ENTRY = 3
_WORD = 8


class ChildState(IntEnum):
    """What a child says it is doing."""

    STARTING = 0
    READY = 1
    BUSY = 2
    DRAINING = 3


class Running(NamedTuple):
    """A message that a handler function is running on; times in seconds of platform.now()."""

    seq: int
    started: float
    deadline: float


class Written(NamedTuple):
    """An outcome as the ring tells it: without a forward's body or a reject's reason."""

    seq: int
    kind: int
    after: float
    attempt: int  #: the start that it ends: a message retried in the pool has the same sequence again


def ring_length(concurrency: int) -> int:
    """Outcomes in a handler's ring: more than it can finish between two looks of its poller (policy.credit)."""
    return max(RING, 2 * concurrency)


class HandlerSlot:
    """Written by one handler process, read by its poller and the supervisor.

    Threads of that process may each start and move the deadline of their own place; they finish one at a time.
    """

    def __init__(self, memory: mmap.mmap, concurrency: int) -> None:
        self.concurrency = concurrency
        self._length = ring_length(concurrency)
        self._words = memoryview(memory).cast("Q")
        self._seconds = memoryview(memory).cast("d")
        self._ring = _RUNNING + concurrency * _ENTRY
        self._written = self._words[_WRITTEN]

    @staticmethod
    def size(concurrency: int) -> int:
        """Bytes of the mapping for a handler that runs up to `concurrency` messages at a time."""
        return (_RUNNING + (concurrency + ring_length(concurrency)) * _ENTRY) * _WORD

    def start(self, place: int, seq: int, *, now: float, deadline: float) -> None:
        """Name the message that starts running at `place` (0 to concurrency - 1). The sequence goes in last."""
        at = _RUNNING + place * _ENTRY
        self._seconds[at + 1] = now
        self._seconds[at + 2] = deadline
        self._words[at] = seq

    def move_deadline(self, place: int, deadline: float) -> None:
        """The message running at `place` may take until `deadline`."""
        self._seconds[_RUNNING + place * _ENTRY + 2] = deadline

    def finish(self, place: int, seq: int, *, kind: int, after: float, attempt: int) -> None:
        """Write the outcome into the ring, then clear `place`: a death between the two still tells the outcome."""
        at = self._ring + (self._written % self._length) * _ENTRY
        self._words[at] = seq
        self._words[at + 1] = kind | attempt << 32
        self._seconds[at + 2] = after
        self._written += 1
        self._words[_WRITTEN] = self._written
        self._words[_RUNNING + place * _ENTRY] = 0

    def tell(self, *, pid: int, state: ChildState) -> None:
        """Say who writes here and what it is doing."""
        self._words[_PID] = pid | state << 32

    def progress(self, *, done: int, failed: int, busy: float, resident: int, now: float) -> None:
        """Messages finished, those that were not acked, seconds in user code, bytes held, and when."""
        words, seconds = self._words, self._seconds
        words[_DONE], words[_FAILED], words[_RESIDENT] = done, failed, resident
        seconds[_BUSY], seconds[_PROGRESS] = busy, now

    def running(self) -> list[Running]:
        """The messages that are running (or were, at the death of the writer)."""
        words, seconds, found = self._words, self._seconds, []
        for at in range(_RUNNING, self._ring, _ENTRY):
            seq = words[at]
            if seq:
                entry = Running(seq, seconds[at + 1], seconds[at + 2])
                if words[at] == seq:  # else it finished while we looked, and the times may be its successor's
                    found.append(entry)
        return found

    def outcomes(self) -> list[Written]:
        """Every outcome the ring still holds, oldest first; without the one whose place is overwritten next."""
        words, seconds, written, length = self._words, self._seconds, self._words[_WRITTEN], self._length
        places = (self._ring + (number % length) * _ENTRY for number in range(max(0, written - length + 1), written))
        return [_written(words[at], words[at + 1], seconds[at + 2]) for at in places]

    def look(self) -> HandlerFacts:
        """What the supervisor shows of this handler."""
        words, seconds = self._words, self._seconds
        pid, state = _pid_and_state(words[_PID])
        done, failed, resident = words[_DONE], words[_FAILED], words[_RESIDENT]
        return HandlerFacts(pid, state, done, failed, seconds[_BUSY], resident, seconds[_PROGRESS])


def _written(seq: int, word: int, after: float) -> Written:
    return Written(seq, word & 0xFFFFFFFF, after, word >> 32)


class HandlerFacts(NamedTuple):
    """What a handler last said of itself."""

    pid: int
    state: ChildState
    done: int  #: handler functions that returned or raised
    failed: int  #: those whose outcome was not an ack or a forward
    busy: float  #: seconds spent in user code, summed over messages that run beside each other
    resident: int  #: bytes
    progress: float  #: when it last said so, platform.now()


#: Places of words in a poller's slot; its pid and state stand where a handler's do.
_MOVED, _RECEIVED, _QUIET, _TROUBLE, _TROUBLE_SINCE = 1, 2, 3, 4, 5
_LIMIT, _RATE, _CPU, _RECEIVE_TRIP, _SETTLE_TRIP = 6, 7, 8, 9, 10
_AWAITS, _BUSY_UNTIL, _EMPTY_SINCE, _COUNTS = 11, 12, 13, 14


class PollerSlot:
    """Written by one poller process, read by the supervisor."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._words = memoryview(memory).cast("Q")
        self._seconds = memoryview(memory).cast("d")

    @staticmethod
    def size() -> int:
        """Bytes of the mapping."""
        return (_COUNTS + len(COUNTERS)) * _WORD

    def tell(
        self,
        *,
        pid: int,
        state: ChildState,
        now: float,
        received_at: float,
        quiet_until: float,
        trouble: str = "",
        trouble_since: float = 0.0,
    ) -> None:
        """The loop moved at `now`, the last receive completed at `received_at`, none is due before `quiet_until`."""
        self._words[_PID] = pid | state << 32
        seconds = self._seconds
        seconds[_MOVED], seconds[_RECEIVED], seconds[_QUIET] = now, received_at, quiet_until
        self._words[_TROUBLE], seconds[_TROUBLE_SINCE] = TROUBLES.index(trouble), trouble_since

    def show(self, *, limit: str, per_second: float, cpu: float, receive_seconds: float, settle_seconds: float) -> None:
        """How fast the poller was in the last second or more, what bound it, and the round trips of its calls."""
        self._words[_LIMIT] = LIMITS.index(limit)
        seconds = self._seconds
        seconds[_RATE], seconds[_CPU] = per_second, cpu
        seconds[_RECEIVE_TRIP], seconds[_SETTLE_TRIP] = receive_seconds, settle_seconds

    def tell_emptiness(self, awaits: str, *, busy_until: float, since: float) -> None:
        """For a pool that ends when its queues are empty: what that waits for, and since when this one is empty."""
        self._words[_AWAITS] = AWAITED.index(awaits)
        self._seconds[_BUSY_UNTIL], self._seconds[_EMPTY_SINCE] = busy_until, since

    def count(self, counters: dict[str, int]) -> None:
        """Publish the counters, in the order of telemetry.COUNTERS."""
        self._words[_COUNTS : _COUNTS + len(COUNTERS)] = memoryview(array("Q", [counters[name] for name in COUNTERS]))

    def look(self) -> PollerFacts:
        """What the supervisor shows of this poller, and judges its progress by."""
        pid, state = _pid_and_state(self._words[_PID])
        counters = dict(zip(COUNTERS, self._words[_COUNTS : _COUNTS + len(COUNTERS)], strict=True))
        seconds = self._seconds
        return PollerFacts(
            pid,
            state,
            progress=seconds[_MOVED],
            received_at=seconds[_RECEIVED],
            quiet_until=seconds[_QUIET],
            counters=counters,
            trouble=TROUBLES[self._words[_TROUBLE]],
            trouble_since=seconds[_TROUBLE_SINCE],
            limit=LIMITS[self._words[_LIMIT]],
            per_second=seconds[_RATE],
            cpu=seconds[_CPU],
            receive_seconds=seconds[_RECEIVE_TRIP],
            settle_seconds=seconds[_SETTLE_TRIP],
            awaits=AWAITED[self._words[_AWAITS]],
            busy_until=seconds[_BUSY_UNTIL],
            empty_since=seconds[_EMPTY_SINCE],
        )


class PollerFacts(NamedTuple):
    """What a poller last said of itself; times in seconds of platform.now()."""

    pid: int
    state: ChildState
    progress: float
    received_at: float
    quiet_until: float  #: no receive is due before: the line is full, the endpoint is down, or it drains
    counters: dict[str, int]
    trouble: str = ""  #: what its calls to AWS fail with now, one of telemetry.TROUBLES; empty: nothing
    trouble_since: float = 0.0
    limit: str = ""  #: what keeps it from being faster, one of telemetry.LIMITS; empty: not known
    per_second: float = 0.0  #: messages settled by a delete
    cpu: float = 0.0  #: cores that it uses
    receive_seconds: float = 0.0  #: mean round trip of a receive that need not wait for messages; 0.0: none yet
    settle_seconds: float = 0.0  #: mean round trip of a settlement; 0.0: none yet
    awaits: str = ""  #: what it waits for before the queue is empty, one of telemetry.AWAITED
    busy_until: float = 0.0  #: when it last held a message, or when the last that it has hidden comes back
    empty_since: float = 0.0  #: the queue has been empty since; 0.0: not known to be. Both only with `until_empty`


def _pid_and_state(word: int) -> tuple[int, ChildState]:
    return word & 0xFFFFFFFF, ChildState(word >> 32)
