"""Lambda function: calls the handler function on messages: one by one, on an event loop, or on a list of them."""

from __future__ import annotations

import atexit
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from worker.aws_lambda.event import Delivery
from worker.handler.attempt import Attempt
from worker.handler.form import Form
from worker.handler.perform import Outcomes, perform
from worker.handler.run import Report
from worker.message import Kind, Message
from worker.protocol import Outcome

if TYPE_CHECKING:
    import asyncio

__all__ = ["Outcomes", "Runner", "runner_for"]


class Runner(Protocol):
    """Of one handler function."""

    def run(
        self, deliveries: Sequence[Delivery], *, end: float, report: Report
    ) -> Iterator[tuple[Sequence[Delivery], Outcomes]]:
        """The outcomes, as they come. `end` is by the monotonic clock; what has not started by then gets a retry."""


def runner_for(function: Callable[..., Any], form: Form, *, concurrency: int) -> Runner:
    """The runner for a form of handler function."""
    if form.asynchronous:
        return _EventLoop(function, batch=form.batch, concurrency=concurrency)
    return _OneByOne(function, batch=form.batch)


class _OneByOne:
    """A plain function."""

    def __init__(self, function: Callable[..., Any], *, batch: bool) -> None:
        self._function = function
        self._batch = batch

    def run(
        self, deliveries: Sequence[Delivery], *, end: float, report: Report
    ) -> Iterator[tuple[Sequence[Delivery], Outcomes]]:
        for some in _calls(deliveries, batch=self._batch):
            attempt = _attempt(some, end)
            if time.monotonic() >= end:
                yield some, _unrun(some)
                continue
            try:
                yield some, perform(self._function, attempt, batch=self._batch, report=report)
            except SystemExit as error:
                yield some, _exited(attempt, error, report)


class _EventLoop:
    """An async def. The loop outlives invocations, and with it the clients that were made on it."""

    def __init__(self, function: Callable[..., Awaitable[Any]], *, batch: bool, concurrency: int) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency={concurrency}: 1 or more messages run at once")
        self._function = function
        self._batch = batch
        self._concurrency = concurrency
        self._runner: asyncio.Runner | None = None

    def run(
        self, deliveries: Sequence[Delivery], *, end: float, report: Report
    ) -> Iterator[tuple[Sequence[Delivery], Outcomes]]:
        calls = _calls(deliveries, batch=self._batch)
        found: dict[int, Outcomes] = {}
        runner = self._runner or self._open()
        try:
            runner.run(self._all(calls, found, end=end, report=report))
        except SystemExit as error:  # of a task that user code made: the loop has ended, and all that ran on it
            self._runner = None
            atexit.unregister(runner.close)
            runner.close()
            for place, some in enumerate(calls):
                if place not in found:
                    found[place] = _exited(_attempt(some, end), error, report)
        for place, some in enumerate(calls):
            yield some, found[place]

    def _open(self) -> asyncio.Runner:
        import asyncio

        self._runner = asyncio.Runner()
        # What user code leaves running on it is cancelled at the end of the process, and not when this object is
        # collected: that may be in the middle of anything.
        atexit.register(self._runner.close)
        return self._runner

    async def _all(
        self, calls: Sequence[Sequence[Delivery]], found: dict[int, Outcomes], *, end: float, report: Report
    ) -> None:
        import asyncio

        from worker.handler.perform_async import perform_async

        free = asyncio.Semaphore(self._concurrency)

        async def one(place: int, some: Sequence[Delivery]) -> None:
            async with free:
                attempt = _attempt(some, end)
                if time.monotonic() >= end:
                    found[place] = _unrun(some)
                    return
                timer = _timer(attempt, end)
                try:
                    found[place] = await perform_async(self._function, attempt, batch=self._batch, report=report)
                except SystemExit as error:
                    found[place] = _exited(attempt, error, report)
                finally:
                    if timer is not None:
                        timer.cancel()

        await asyncio.gather(*(one(place, some) for place, some in enumerate(calls)))


def _timer(attempt: Attempt, end: float) -> asyncio.TimerHandle | None:
    """Cancels the running task at the end, so that the answer can still say what is done beside it."""
    import asyncio

    if end == float("inf"):
        return None

    task = cast("asyncio.Task[Any]", asyncio.current_task())

    def stop() -> None:
        attempt.warned = True
        task.cancel()

    return asyncio.get_running_loop().call_later(end - time.monotonic(), stop)


def _calls(deliveries: Sequence[Delivery], *, batch: bool) -> Sequence[Sequence[Delivery]]:
    """The messages of each call."""
    return [deliveries] if batch else [[one] for one in deliveries]


def _attempt(deliveries: Sequence[Delivery], end: float) -> Attempt:
    messages = [
        Message(
            id=one.parcel.id,
            body=one.parcel.body,
            queue=one.queue,
            attributes=one.parcel.attributes,
            deadline=end,
            clock=time.monotonic,
            latest=end,  # nobody can extend an invocation
        )
        for one in deliveries
    ]
    return Attempt(parcels=[one.parcel for one in deliveries], messages=messages, places=[])


def _unrun(deliveries: Sequence[Delivery]) -> Outcomes:
    reason = "not started: the invocation's time is up (a smaller batch, or a longer timeout of the function)"
    return [Outcome(one.parcel.seq, Kind.RETRY, None, reason) for one in deliveries]


def _exited(attempt: Attempt, error: SystemExit, report: Report) -> Outcomes:
    """exit() in user code is a failure of its messages. It must not end the process: the others are not its affair."""
    report(attempt.messages[0], error)
    return [Outcome(parcel.seq, Kind.RETRY, None, "exit() was called") for parcel in attempt.parcels]
