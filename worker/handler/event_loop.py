"""Handler process: runs attempts of an async handler function on one event loop, in the main thread."""

from __future__ import annotations

import asyncio
import inspect
from _thread import allocate_lock
from collections.abc import Callable
from types import FrameType
from typing import Any

from worker.handler.attempt import Attempt
from worker.handler.board import Board
from worker.handler.hooks import Hook
from worker.handler.perform import AnyFunction
from worker.handler.perform_async import perform_async
from worker.handler.run import Report


class EventLoop:
    """The event loop. Another thread talks with the poller, so that code which blocks the loop blocks nothing else."""

    def __init__(
        self,
        function: AnyFunction,
        board: Board,
        *,
        batch: bool,
        report: Report,
        on_error: Callable[[Exception], None],
    ) -> None:
        self._function = function
        self._board = board
        self._batch = batch
        self._report = report
        self._on_error = on_error
        self._loop = asyncio.new_event_loop()  # here: the loop's thread may call start() before main() runs
        self._stopped = asyncio.Event()
        self._over = allocate_lock()
        self._over.acquire()
        self._running: dict[Attempt, asyncio.Task[Any]] = {}
        self._inside: set[Attempt] = set()  # user code has begun and not ended

    def call(self, hook: Hook) -> None:
        """Before main(); what it leaves running on the loop goes on in there."""
        waiting = hook()
        if inspect.isawaitable(waiting):
            self._loop.run_until_complete(waiting)

    def main(self, last: Hook | None) -> None:
        """Until stop(); then `last`. What user code left running on the loop is cancelled after it."""
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            # No error gets out of here: closing the loop cancels what runs, and that would be an outcome of each.
            try:
                runner.run(self._wait(last))
            except (SystemExit, KeyboardInterrupt) as error:  # of a task or a callback that user code gave to the loop
                self._board.exit(error, None)
                self._over.acquire()  # the loop's thread ends the process, unless it is at its end itself
            except Exception as error:  # noqa: BLE001 - user code stopped the loop: this process cannot serve any more
                self._on_error(error)

    def start(self, attempts: list[Attempt]) -> None:
        """Loop's thread: run these."""
        self._loop.call_soon_threadsafe(self._start, attempts)

    def stop(self) -> None:
        """Loop's thread: nothing runs any more; let main() return."""
        self._over.release()
        self._loop.call_soon_threadsafe(self._stopped.set)

    def go_off(self, _number: int, _frame: FrameType | None) -> None:
        """The handler of SIGUSR1: cancels what is past its deadline; raises SoftTimeout in what blocks the loop."""
        blocking = asyncio.current_task(self._loop)
        late = [attempt for attempt in list(self._inside) if attempt.overdue()]
        raised: Attempt | None = None
        for attempt in late:
            task = self._running[attempt]
            attempt.warned = True
            if task is blocking:
                raised = attempt
            else:
                self._loop.call_soon_threadsafe(task.cancel)
        if raised is not None:
            raise raised.late()

    async def _wait(self, last: Hook | None) -> None:
        await self._stopped.wait()
        waiting = last() if last is not None else None
        if inspect.isawaitable(waiting):
            await waiting

    def _start(self, attempts: list[Attempt]) -> None:
        for attempt in attempts:
            self._loop.create_task(self._run(attempt))

    async def _run(self, attempt: Attempt) -> None:
        async def call(argument: Any) -> Any:
            self._inside.add(attempt)
            try:
                return await self._function(argument)
            finally:
                self._inside.discard(attempt)

        # Kept, since the loop refers only weakly to a task that waits; and kept here, since where user code wants
        # eager tasks this may end before `create_task` has given it to anybody.
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self._running[attempt] = task
        try:
            self._board.begin(attempt)
            self._board.end(attempt, await perform_async(call, attempt, batch=self._batch, report=self._report))
        except (SystemExit, KeyboardInterrupt) as error:
            self._board.exit(error, attempt.messages[0])
        except Exception as error:  # noqa: BLE001 - whatever it is, this process cannot serve any more
            self._on_error(error)
        finally:
            del self._running[attempt]
