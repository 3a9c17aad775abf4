"""Handler process: the main thread's loop: take messages, run the handler function on them, tell the outcomes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NoReturn

from worker.handler.endings import Endings
from worker.handler.hooks import Hook
from worker.handler.links import Links
from worker.handler.run import HandlerFunction, run
from worker.handler.signals import Alarm
from worker.handler.stream import Stream
from worker.handler.stream_thread import StreamThread
from worker.message import Kind, Message
from worker.platform import resident_bytes
from worker.protocol import Outcome, Parcel
from worker.slots import ChildState, HandlerSlot

#: Seconds of running messages between two rounds of I/O: an outcome waits no longer before another message starts.
_ROUND = 0.005
#: Acks that are told before the round ends.
_GATHERED = 10
#: Seconds between two looks at the memory held.
_SAMPLE = 1.0
#: How the slot's ring writes "by the queue's backoff".
_BY_BACKOFF = -1.0


class Loop:
    """Runs messages one by one. What runs is named by its place in the slot, so that there can be more than one."""

    def __init__(
        self,
        function: HandlerFunction,
        *,
        queue: str,
        timeout: float,
        slot: HandlerSlot,
        links: Links,
        stream: Stream,
        thread: StreamThread,
        alarm: Alarm,
        endings: Endings,
        clock: Callable[[], float],
    ) -> None:
        self.stopped = False  #: STOP was obeyed: nothing runs, nothing waits
        self._function = function
        self._queue = queue
        self._timeout = timeout
        self._slot = slot
        self._links = links
        self._stream = stream
        self._thread = thread
        self._alarm = alarm
        self._endings = endings
        self._clock = clock
        self._free = list(range(slot.concurrency))
        self._movers = [partial(slot.move_deadline, place) for place in self._free]
        self._pid = os.getpid()
        self._state = ChildState.STARTING
        self._done = 0
        self._failed = 0
        self._busy = 0.0
        self._resident = 0
        self._next_sample = 0.0

    def call(self, hook: Hook) -> None:
        """User code that no message is for, before run()."""
        hook()

    def run(self, last: Hook | None = None) -> None:
        """Until STOP was obeyed; then `last`. Raises SupervisorGone, DescriptorsClosed, channel.Broken."""
        while True:
            timeout = self.step(self._clock())
            if self.stopped:
                break
            self._links.handle(self._links.wait(timeout))
        if last is not None:
            self._links.flush()  # it may take its time, and nobody is to wait for it
            last()

    def step(self, now: float) -> float | None:
        """Run what has arrived, for one round at most; gives the longest wait after it, None: until something comes."""
        stream, links = self._stream, self._links
        if stream.inbox and not links.stopping:
            self._tell(ChildState.BUSY)
            end = now + _ROUND
            while stream.inbox and now < end and not links.stopping:
                now = self._handle(stream.inbox.popleft(), now)
                if len(stream.acks) >= _GATHERED:
                    self._flush()
            self._flush()
        self._publish(now)
        if links.stopping:
            self._stop()
        elif stream.inbox:
            return 0.0
        else:
            self._tell(ChildState.READY)
        return None

    def _handle(self, parcel: Parcel, now: float) -> float:
        """Run the handler function on one message; gives the time after it."""
        place = self._free.pop()
        message = self._open(parcel, place, now)
        self._thread.lend()
        try:
            outcome = run(self._function, message, parcel, alarm=self._alarm, report=self._endings.report)
        except (SystemExit, KeyboardInterrupt) as error:
            self._die(error, message)
        self._endings.leave_if_forked(failed=outcome is not None)
        message.move_deadline = None  # whoever keeps the message must not move its successor's
        # Into the slot first: a death from here on finds the outcome there, whatever the stream thread is busy with.
        if outcome is None:
            self._slot.finish(place, parcel.seq, kind=Kind.ACK, after=0.0, attempt=parcel.attempt)
        else:
            after = _BY_BACKOFF if outcome.after is None else outcome.after
            self._slot.finish(place, parcel.seq, kind=outcome.kind, after=after, attempt=parcel.attempt)
        self._thread.reclaim()
        del self._stream.running[place], self._stream.started[parcel.seq]
        self._free.append(place)
        ended = self._clock()
        self._busy += ended - now
        self._done += 1
        self._tell_outcome(parcel, outcome)
        return ended

    def _open(self, parcel: Parcel, place: int, now: float) -> Message:
        deadline = min(now + self._timeout, parcel.expires)
        message = Message(
            id=parcel.id,
            body=parcel.body,
            queue=self._queue,
            attributes=parcel.attributes,
            attempt=parcel.attempt,
            deadline=deadline,
            clock=self._clock,
            move_deadline=self._movers[place],
            latest=parcel.expires,
        )
        self._stream.running[place] = parcel
        self._stream.started[parcel.seq] = message
        self._slot.start(place, parcel.seq, now=now, deadline=deadline)
        return message

    def _tell_outcome(self, parcel: Parcel, outcome: Outcome | None) -> None:
        if outcome is None:
            self._stream.acks.append(parcel.seq)
            return
        self._stream.tell(replace(outcome, attempt=parcel.attempt))
        if outcome.kind is Kind.FORWARD:
            # At once: its body is not in the slot, so at our death the message would run again, though it was done.
            self._flush()
        else:
            self._failed += 1

    def _die(self, error: BaseException, message: Message) -> NoReturn:
        if not self._endings.forked:
            self._thread.reclaim()
        self._endings.by_user_code(error, message)

    def _flush(self) -> None:
        if self._stream.waiting:
            self._links.check()
            self._stream.flush()

    def _stop(self) -> None:
        """Messages that came after STOP go back; the outcomes have been told."""
        if self._stream.inbox:
            self._stream.give_back()
        self._flush()
        self._tell(ChildState.DRAINING)
        self.stopped = True

    def _tell(self, state: ChildState) -> None:
        if state is not self._state:
            self._state = state
            self._slot.tell(pid=self._pid, state=state)

    def _publish(self, now: float) -> None:
        if now >= self._next_sample:
            self._resident = resident_bytes()
            self._next_sample = now + _SAMPLE
        self._slot.progress(done=self._done, failed=self._failed, busy=self._busy, resident=self._resident, now=now)
