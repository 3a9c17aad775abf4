"""Handler process: the loop where several messages run at once: a thread talks, others or an event loop run user code.

The main thread is the runner's: it gets the signals. Messages are handed over in lists and outcomes are taken in lists,
so that a wake-up (some 40 us) is paid for many messages when there are many.
"""

from __future__ import annotations

import os
import signal
from _thread import start_new_thread
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import FrameType
from typing import Protocol

from worker.handler.attempt import Attempt
from worker.handler.board import Board, Ended
from worker.handler.endings import Endings
from worker.handler.hooks import Hook
from worker.handler.links import Links
from worker.handler.stream import Stream
from worker.handler.stream_thread import FAULTS
from worker.message import Kind, Message
from worker.platform import resident_bytes
from worker.protocol import Outcome, Parcel
from worker.settings import BatchSettings
from worker.slots import ChildState, HandlerSlot

#: Seconds between two looks at the memory held.
_SAMPLE = 1.0


class Runner(Protocol):
    """Runs user code: threads, an event loop, or the main thread."""

    def call(self, hook: Hook) -> None:
        """Run a hook before main()."""

    def main(self, last: Hook | None) -> None:
        """The main thread, until stop(); then `last`."""

    def start(self, attempts: list[Attempt]) -> None:
        """Run these; called by the loop's thread."""

    def stop(self) -> None:
        """Nothing runs any more: let main() return; called by the loop's thread."""

    def go_off(self, number: int, frame: FrameType | None, /) -> None:
        """The handler of SIGUSR1: SoftTimeout for what is past its deadline."""


class ConcurrentLoop:
    """Hands messages to the runner as places are free, and tells the outcomes."""

    def __init__(
        self,
        runner: Runner,
        board: Board,
        *,
        queue: str,
        batch: BatchSettings,
        slot: HandlerSlot,
        links: Links,
        stream: Stream,
        endings: Endings,
        clock: Callable[[], float],
    ) -> None:
        self.stopped = False  #: STOP was obeyed: nothing runs, nothing waits
        self._runner = runner
        self._board = board
        self._queue = queue
        self._batch = batch
        self._slot = slot
        self._links = links
        self._stream = stream
        self._endings = endings
        self._clock = clock
        self._free = list(range(slot.concurrency))
        self._movers = [partial(slot.move_deadline, place) for place in self._free]
        self._calls = slot.concurrency // batch.size  # that may still be made
        self._complete_at = 0.0  # when a batch may start though it is not full; 0: none gathers
        self._pid = os.getpid()
        self._state = ChildState.STARTING
        self._done = 0
        self._failed = 0
        self._busy = 0.0
        self._resident = 0
        self._next_sample = 0.0

    def call(self, hook: Hook) -> None:
        """User code that no message is for, before run(); an async one on the event loop."""
        self._runner.call(hook)

    def run(self, last: Hook | None = None) -> None:
        """Until STOP was obeyed; then `last`, likewise."""
        start_new_thread(self._serve, ())
        self._runner.main(last)

    def step(self, now: float) -> float | None:
        """Take what has ended, start what may start; gives the longest wait after it, None: until something comes."""
        exiting = self._board.exiting  # before the look: what ended earlier is told, since the ring has no bodies
        for ended in self._board.take():
            self._take(ended)
        if exiting is not None:
            self._endings.by_user_code(exiting.error, exiting.message)
        wait = self._give(now) if not self._links.stopping else None
        if self._stream.waiting:
            self._links.check()
            self._stream.flush()
        self._publish(now)
        if self._links.stopping and not self._stream.running:
            self._stop()
        return wait

    def _serve(self) -> None:
        # Signals belong to the main thread, so that they interrupt user code.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - FAULTS)
        try:
            while True:
                timeout = self.step(self._clock())
                if self.stopped:
                    break
                self._links.handle(self._links.wait(timeout))
            self._links.flush()  # user code's last words may take their time, and nobody is to wait for them
        except Exception as error:  # noqa: BLE001 - whatever it is, the process cannot talk any more
            self._endings.by_failure(error)
        self._runner.stop()

    def _give(self, now: float) -> float | None:
        """Hand over what has arrived; gives the seconds till a batch that is gathering starts as it is."""
        inbox, size = self._stream.inbox, self._batch.size
        if inbox and not self._complete_at:
            self._complete_at = now + self._batch.wait  # whether or not a call is free
        attempts: list[Attempt] = []
        while inbox and self._calls and (len(inbox) >= size or now >= self._complete_at):
            attempts.append(self._open([inbox.popleft() for _ in range(min(size, len(inbox)))]))
            self._complete_at = now + self._batch.wait
        if attempts:
            self._runner.start(attempts)
        if not inbox:
            self._complete_at = 0.0
        return self._complete_at - now if inbox and self._calls else None

    def _open(self, parcels: list[Parcel]) -> Attempt:
        self._calls -= 1
        attempt = Attempt(parcels=parcels, messages=[], places=[])
        for parcel in parcels:
            place = self._free.pop()
            message = Message(
                id=parcel.id,
                body=parcel.body,
                queue=self._queue,
                attributes=parcel.attributes,
                attempt=parcel.attempt,
                clock=self._clock,
                move_deadline=self._movers[place],
                latest=parcel.expires,
            )
            attempt.messages.append(message)
            attempt.places.append(place)
            self._stream.running[place] = parcel
            self._stream.started[parcel.seq] = message
        return attempt

    def _take(self, ended: Ended) -> None:
        attempt = ended.attempt
        self._calls += 1
        for parcel, place, outcome in zip(attempt.parcels, attempt.places, ended.outcomes, strict=True):
            del self._stream.running[place], self._stream.started[parcel.seq]
            self._free.append(place)
            self._busy += ended.at - attempt.begun
            self._done += 1
            self._tell_outcome(parcel, outcome)

    def _tell_outcome(self, parcel: Parcel, outcome: Outcome | None) -> None:
        if outcome is None:
            self._stream.acks.append(parcel.seq)
        else:
            self._stream.tell(replace(outcome, attempt=parcel.attempt))
            self._failed += outcome.kind is not Kind.FORWARD

    def _stop(self) -> None:
        """Messages that came after STOP go back; the outcomes have been told."""
        if self._stream.inbox:
            self._stream.give_back()
        self._tell(ChildState.DRAINING)
        self.stopped = True

    def _publish(self, now: float) -> None:
        if now >= self._next_sample:
            self._resident = resident_bytes()
            self._next_sample = now + _SAMPLE
        self._slot.progress(done=self._done, failed=self._failed, busy=self._busy, resident=self._resident, now=now)
        if not self._links.stopping:
            self._tell(ChildState.BUSY if self._stream.running else ChildState.READY)

    def _tell(self, state: ChildState) -> None:
        if state is not self._state:
            self._state = state
            self._slot.tell(pid=self._pid, state=state)
