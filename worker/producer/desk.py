"""Producer process: where messages of an event loop wait for room, and where their results come back into it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque

from worker.policy.parcel import Parcel
from worker.producer.engine import Engine
from worker.producer.sender import Sender
from worker.producer.sending import SendError


class Desk:
    """Of one event loop: all methods but post() are called in it."""

    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop) -> None:
        self._engine = engine
        self.loop = loop
        #: In the order of the calls: parcels, and between them who wants to know that all before it are handed over.
        self._waiting: deque[tuple[Parcel, _Ticket] | asyncio.Future[None]] = deque()
        self._results: deque[tuple[_Ticket, str, BaseException | None]] = deque()
        self._delivering = False
        self._starting: asyncio.Task[Sender] | None = None
        self._messages = 0  #: handed over and not resolved
        self._bytes = 0

    def take(self, parcel: Parcel) -> asyncio.Future[str]:
        """Hand it over when there is room. Raises RuntimeError."""
        if self._engine.closing:
            raise RuntimeError(f"the producer of queue {self._engine.target.queue} is closed")
        future: asyncio.Future[str] = self.loop.create_future()
        ticket = _Ticket(self, future, parcel.size)
        parcel.ticket = ticket
        self._waiting.append((parcel, ticket))
        self._pump()
        return future

    async def hurry(self) -> None:
        """Done when all that waits here is handed over; then it does not linger."""
        if self._waiting:
            handed_over = self.loop.create_future()
            self._waiting.append(handed_over)
            self._pump()  # nothing else does, if all tasks were cancelled while the client was being made
            await handed_over
        self._engine.hurry()

    async def flush(self) -> None:
        """All that waits here, and all that was handed over."""
        await self.hurry()
        await asyncio.to_thread(self._engine.flush)

    async def close(self) -> None:
        """The same, and nothing more is taken."""
        self._engine.closing = True
        await self.flush()
        await asyncio.to_thread(self._engine.close)

    def post(self, ticket: _Ticket, result: str, error: BaseException | None) -> None:
        """Called in the producer's thread. One wake-up of the loop serves all that comes until it runs."""
        self._results.append((ticket, result, error))
        if not self._delivering:
            self._delivering = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self.loop.call_soon_threadsafe(self._deliver)

    # --- inside

    def _deliver(self) -> None:
        self._delivering = False  # before the results are looked at: one that comes now only wakes the loop once more
        while self._results:
            ticket, result, error = self._results.popleft()
            self._messages -= 1
            self._bytes -= ticket.size
            if ticket.future.done():
                continue  # cancelled
            if error is not None:
                ticket.future.set_exception(error)
            else:
                ticket.future.set_result(result)
        self._pump()

    def _pump(self) -> None:
        """Hand over, in order, what there is room for."""
        while self._waiting:
            if not self._engine.started:
                self._start()
                return
            first = self._waiting[0]
            if not isinstance(first, tuple):
                if not first.done():  # who waits for it may have been cancelled
                    first.set_result(None)
            elif not first[1].future.done():
                if self._full(first[0].size):
                    self._engine.press()
                    return
                self._admit(*first)
            self._waiting.popleft()

    def _full(self, size: int) -> bool:
        target = self._engine.target
        return self._messages >= target.max_buffer or (
            self._messages > 0 and self._bytes + size > target.max_buffer_bytes
        )

    def _admit(self, parcel: Parcel, ticket: _Ticket) -> None:
        self._messages += 1
        self._bytes += parcel.size
        try:
            self._engine.admit(parcel, wait=False)
        except (RuntimeError, SendError) as error:  # closed, or its thread has failed and cannot be started again
            self.post(ticket, "", error)

    def _start(self) -> None:
        """In a thread: importing botocore and reading its files would hold up the loop for a quarter of a second."""
        if self._starting is None:
            self._starting = asyncio.ensure_future(asyncio.to_thread(self._engine.start))
            self._starting.add_done_callback(self._started)

    def _started(self, task: asyncio.Task[Sender]) -> None:
        self._starting = None
        if task.cancelled():  # the loop ends
            return
        error = task.exception()
        if error is None:
            self._pump()
            return
        while self._waiting:
            first = self._waiting.popleft()
            if not isinstance(first, tuple):
                if not first.done():
                    first.set_result(None)
            elif not first[1].future.done():
                first[1].future.set_exception(error)


class _Ticket:
    """Takes what the producer's thread tells of one message into the event loop."""

    __slots__ = ("_desk", "future", "size")

    def __init__(self, desk: Desk, future: asyncio.Future[str], size: int) -> None:
        self._desk = desk
        self.future = future
        self.size = size

    def done(self) -> bool:
        return self.future.done()

    def set_running_or_notify_cancel(self) -> bool:
        if not self.future.cancelled():
            return True
        self._desk.post(self, "", None)
        return False

    def set_result(self, result: str) -> None:
        self._desk.post(self, result, None)

    def set_exception(self, exception: BaseException | None) -> None:
        self._desk.post(self, "", exception)
