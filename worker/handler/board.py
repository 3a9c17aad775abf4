"""Handler process: what runs at once: user code's side writes the slot and hands outcomes over, the loop takes them."""

from __future__ import annotations

from _thread import allocate_lock
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from worker.handler.attempt import Attempt
from worker.handler.endings import Endings
from worker.handler.perform import Outcomes
from worker.message import Kind, Message
from worker.slots import HandlerSlot

#: How the slot's ring writes "by the queue's backoff".
_BY_BACKOFF = -1.0


class Ended(NamedTuple):
    """An attempt whose call is over."""

    attempt: Attempt
    at: float  #: platform.now()
    outcomes: Outcomes


class Exit(NamedTuple):
    """User code wants the process to end, and there is no outcome."""

    error: BaseException  #: SystemExit or KeyboardInterrupt
    message: Message | None  #: the one that it was raised for; None: raised beside the calls, on the event loop


class Board:
    """Between the threads, or the event loop, that run user code, and the thread that talks with the poller."""

    def __init__(
        self,
        slot: HandlerSlot,
        *,
        timeout: float,
        clock: Callable[[], float],
        ring: Callable[[], None],
        endings: Endings,
    ) -> None:
        self._slot = slot
        self._timeout = timeout
        self._clock = clock
        self._ring = ring  # wakes the loop
        self._endings = endings
        self.exiting: Exit | None = None
        self._ended: deque[Ended] = deque()
        self._rung = False
        self._writing = allocate_lock()  # the ring of outcomes has one writer at a time

    def begin(self, attempt: Attempt) -> None:
        """User code starts on it: only now is it named in the slot, and do its deadlines run."""
        now = attempt.begun = self._clock()
        for parcel, message, place in zip(attempt.parcels, attempt.messages, attempt.places, strict=True):
            message.deadline = min(now + self._timeout, parcel.expires)
            self._slot.start(place, parcel.seq, now=now, deadline=message.deadline)

    def end(self, attempt: Attempt, outcomes: Outcomes) -> None:
        """User code has ended. Into the slot first: a death from here on finds the outcomes there."""
        self._endings.leave_if_forked(failed=any(outcomes))
        with self._writing:
            for parcel, place, outcome in zip(attempt.parcels, attempt.places, outcomes, strict=True):
                kind, after = Kind.ACK, 0.0
                if outcome is not None:
                    kind, after = outcome.kind, _BY_BACKOFF if outcome.after is None else outcome.after
                self._slot.finish(place, parcel.seq, kind=kind, after=after, attempt=parcel.attempt)
        for message in attempt.messages:
            message.move_deadline = None  # whoever keeps the message must not move its successor's
        self._ended.append(Ended(attempt, self._clock(), outcomes))
        self._wake()

    def exit(self, error: BaseException, message: Message | None) -> None:
        """User code wants the process to end; what it ran stays named in the slot. In a forked child it ends here."""
        if self._endings.forked:
            self._endings.by_user_code(error, message)
        self.exiting = self.exiting or Exit(error, message)
        self._wake()

    def take(self) -> list[Ended]:
        """What has ended since the last look."""
        self._rung = False  # first: who hands over from here on rings again
        return [self._ended.popleft() for _ in range(len(self._ended))]

    def _wake(self) -> None:
        if not self._rung:
            self._rung = True
            self._ring()
