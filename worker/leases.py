"""Poller and supervisor: the lease table, a poller's ledger as its successor will find it in shared memory.

One record per delivery, written before the delivery is given to a handler. Written by one poller at a time; a record
counts from the moment its state is not FREE, which is written last.
"""

from __future__ import annotations

import mmap
from enum import IntEnum
from typing import NamedTuple

#: Deliveries one poller can hold. At 10,000 messages a second it is 400 ms of work.
CAPACITY = 4096
#: The same where many run at once in its handlers: 43 MB of shared memory.
MOST_CAPACITY = 32_768
#: Receives of a FIFO queue whose answer is awaited; each keeps its ReceiveRequestAttemptId here.
ATTEMPTS = 32

_WORD = 8
_ID, _RECEIPT, _GROUP = 128, 1024, 128
_ATTEMPT = 64
_HEADER = ATTEMPTS * _ATTEMPT
#: A record is six words and its text: state and handler; kind, attempts and crashes; the lengths of id, receipt and
#: group; sequence; lease end; received at. Each is written by one store: see slots.py for why not by struct.
_HANDLER, _KIND, _LENGTHS, _SEQ, _LEASE, _RECEIVED, _TEXT = 0, 1, 2, 3, 4, 5, 6
_RECORD = _TEXT * _WORD + _ID + _GROUP + _RECEIPT
#: The same in words, for whom a call of _at() for each step of each message would cost too much.
_FIRST, _STRIDE = _HEADER // _WORD, _RECORD // _WORD
#: Attempts and crashes have 16 bits each; more of either changes no decision.
_MOST = 0xFFFF


class LeaseState(IntEnum):
    """Where a delivery is, as far as a successor needs to know."""

    FREE = 0
    READY = 1  #: in the ready line, or waiting in the pool: its body is in the poller's memory only
    DISPATCHED = 2  #: given to a handler
    SETTLING = 3  #: its outcome is known (`kind`), not confirmed yet


#: As plain numbers: an IntEnum's own arithmetic costs as much as all the rest of a step.
_FREE, _READY, _DISPATCHED, _SETTLING = (int(state) for state in LeaseState)


class Lease(NamedTuple):
    """One record of the table; times in seconds of platform.now()."""

    place: int
    state: LeaseState
    handler: int
    kind: int
    attempts: int
    crashes: int
    seq: int
    lease_end: float
    received_at: float
    message_id: str
    receipt: str
    group: str


def capacity(running: int, ready: int) -> int:
    """Records that a poller needs whose handlers run `running` messages at once and whose line holds `ready`.

    As many as run may wait for their deletes.
    """
    return min(MOST_CAPACITY, max(CAPACITY, 2 * running + ready))


class LeaseTable:
    """The table in one mapping. A full table is a bound on what may be received, never an error."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory
        self._words = memoryview(memory).cast("Q")
        self._seconds = memoryview(memory).cast("d")
        self.capacity = (len(memory) - _HEADER) // _RECORD
        self._free = [place for place in range(self.capacity - 1, -1, -1) if not self._words[_at(place)]]

    @staticmethod
    def size(capacity: int = CAPACITY) -> int:
        """Bytes of a table of `capacity` records; pages never touched cost nothing."""
        return _HEADER + capacity * _RECORD

    @property
    def free(self) -> int:
        """Records that can still be added."""
        return len(self._free)

    def add(
        self,
        *,
        seq: int,
        message_id: str,
        receipt: str,
        group: str,
        lease_end: float,
        received_at: float,
        attempts: int,
    ) -> int:
        """Write a READY record; returns its place. Raises IndexError if none is free.

        A receipt over 1,024 characters is left out: such a record is not adoptable.
        """
        place = self._free.pop()
        at, words, memory = _FIRST + place * _STRIDE, self._words, self._memory
        name = message_id.encode(errors="replace")[:_ID]
        room = group.encode(errors="replace")[:_GROUP]
        handle = receipt.encode(errors="replace")
        if len(handle) > _RECEIPT:
            handle = b""
        words[at + _KIND] = min(attempts, _MOST) << 32
        words[at + _LENGTHS] = len(name) | len(handle) << 16 | len(room) << 32
        words[at + _SEQ] = seq
        self._seconds[at + _LEASE] = lease_end
        self._seconds[at + _RECEIVED] = received_at
        start = (at + _TEXT) * _WORD
        memory[start : start + len(name)] = name
        start += _ID
        if room:
            memory[start : start + len(room)] = room
        start += _GROUP
        memory[start : start + len(handle)] = handle
        words[at] = _READY
        return place

    def dispatch(self, place: int, handler: int) -> None:
        """The delivery is about to be sent to `handler`."""
        self._words[_FIRST + place * _STRIDE] = _DISPATCHED | handler << 32

    def ready(self, place: int, *, attempts: int, crashes: int) -> None:
        """The delivery is back in the poller's hands, to be given out again."""
        at = _at(place)
        self._words[at + _KIND] = min(attempts, _MOST) << 32 | min(crashes, _MOST) << 48
        self._words[at] = LeaseState.READY

    def settle(self, place: int, kind: int) -> None:
        """The outcome is known; the handler number stays, for a successor that needs the rest of the outcome."""
        at, words = _FIRST + place * _STRIDE, self._words
        words[at + _KIND] = words[at + _KIND] & ~0xFFFFFFFF | kind
        words[at] = words[at] & ~0xFFFFFFFF | _SETTLING

    def extend(self, place: int, lease_end: float) -> None:
        """The lease was extended."""
        self._seconds[_at(place) + _LEASE] = lease_end

    def remove(self, place: int) -> None:
        """The delivery is gone: settled and confirmed, or lost."""
        self._words[_FIRST + place * _STRIDE] = _FREE
        self._free.append(place)

    def records(self) -> list[Lease]:
        """Every record in use, by sequence: what a successor takes over."""
        found = [self._read(place) for place in range(self.capacity) if self._words[_at(place)]]
        return sorted(found, key=lambda lease: lease.seq)

    def remember_attempt(self, slot: int, attempt: str) -> None:
        """Keep a ReceiveRequestAttemptId before the receive is sent; an empty one when its answer has arrived.

        The first byte goes last, so that a death in between leaves none rather than half of one.
        """
        start, text = slot * _ATTEMPT, attempt.encode()[:_ATTEMPT].ljust(_ATTEMPT, b"\0")
        self._memory[start] = 0
        self._memory[start + 1 : start + _ATTEMPT] = text[1:]
        self._memory[start] = text[0]

    def attempts(self) -> list[str]:
        """The attempt ids whose answers never arrived: they bring back the same messages within 5 minutes."""
        raw = (self._memory[slot * _ATTEMPT : (slot + 1) * _ATTEMPT].rstrip(b"\0") for slot in range(ATTEMPTS))
        return [attempt.decode() for attempt in raw if attempt and attempt[0]]

    def _read(self, place: int) -> Lease:
        at, words = _at(place), self._words
        state, kind, lengths = words[at], words[at + _KIND], words[at + _LENGTHS]
        start = (at + _TEXT) * _WORD
        text = self._memory[start : start + _ID + _GROUP + (lengths >> 16 & _MOST)]
        return Lease(
            place=place,
            state=LeaseState(state & 0xFFFFFFFF),
            handler=state >> 32,
            kind=kind & 0xFFFFFFFF,
            attempts=kind >> 32 & _MOST,
            crashes=kind >> 48,
            seq=words[at + _SEQ],
            lease_end=self._seconds[at + _LEASE],
            received_at=self._seconds[at + _RECEIVED],
            message_id=text[: lengths & _MOST].decode(errors="replace"),
            receipt=text[_ID + _GROUP :].decode(),
            group=text[_ID : _ID + (lengths >> 32 & _MOST)].decode(errors="replace"),
        )


def _at(place: int) -> int:
    """The first word of a record."""
    return _FIRST + place * _STRIDE
