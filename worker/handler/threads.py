"""Handler process: runs attempts in threads, one in each, while the main thread waits for signals."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from types import FrameType
from typing import Any

from worker.handler.attempt import Attempt
from worker.handler.board import Board
from worker.handler.hooks import Hook
from worker.handler.perform import AnyFunction, perform
from worker.handler.run import Report
from worker.message import SoftTimeout

#: Turns of a loop in which an exception that was thrown is raised.
_TURNS = 10


class Threads:
    """The threads, and the line they take attempts from."""

    def __init__(
        self,
        function: AnyFunction,
        board: Board,
        *,
        count: int,
        batch: bool,
        report: Report,
        on_error: Callable[[Exception], None],
    ) -> None:
        self._function = function
        self._board = board
        self._batch = batch
        self._report = report
        self._on_error = on_error
        self._waiting: SimpleQueue[Attempt | None] = SimpleQueue()
        self._guards = [Guard() for _ in range(count)]
        self._stopped = threading.Lock()
        self._stopped.acquire()

    def call(self, hook: Hook) -> None:
        """Before main(), on the main thread."""
        hook()

    def main(self, last: Hook | None) -> None:
        """Until stop(); then `last`. Till then the main thread runs no user code, so that signals are heard at once."""
        for number, guard in enumerate(self._guards):
            threading.Thread(target=self._work, args=(guard,), name=f"handler-{number}", daemon=True).start()
        self._stopped.acquire()
        if last is not None:
            last()

    def start(self, attempts: list[Attempt]) -> None:
        """Loop's thread: run these; there are no more than idle threads."""
        for attempt in attempts:
            self._waiting.put(attempt)

    def stop(self) -> None:
        """Loop's thread: nothing runs any more; let main() return."""
        for _ in self._guards:
            self._waiting.put(None)
        self._stopped.release()

    def go_off(self, _number: int, _frame: FrameType | None) -> None:
        """The handler of SIGUSR1: SoftTimeout for every thread whose attempt is past its deadline, once each."""
        for guard in self._guards:
            guard.warn()

    def _work(self, guard: Guard) -> None:
        guard.thread = threading.get_ident()
        try:
            while (attempt := self._waiting.get()) is not None:
                self._run(attempt, guard)
        except Exception as error:  # noqa: BLE001 - whatever it is, this process cannot serve any more
            self._on_error(error)

    def _run(self, attempt: Attempt, guard: Guard) -> None:
        def call(argument: Any) -> Any:
            guard.enter(attempt)
            try:
                return self._function(argument)
            except SoftTimeout as error:
                error.args = error.args or attempt.late().args  # a thread can be thrown a class only
                raise
            finally:
                guard.leave()

        self._board.begin(attempt)
        try:
            outcomes = perform(call, attempt, batch=self._batch, report=self._report)
        except (SystemExit, KeyboardInterrupt) as error:
            self._board.exit(error, attempt.messages[0])
            return
        self._board.end(attempt, outcomes)


class Guard:
    """Lets SoftTimeout into one thread while user code runs in it, and nowhere else.

    No lock: an exception that comes between taking and releasing one would leave it taken.
    """

    def __init__(self) -> None:
        self.thread = 0
        self._inside: Attempt | None = None
        self._throwing = False

    def enter(self, attempt: Attempt) -> None:
        """The thread: user code starts."""
        self._inside = attempt

    def leave(self) -> None:
        """The thread: user code has ended. Raises SoftTimeout if it was on its way already."""
        attempt, self._inside = self._inside, None
        while self._throwing:
            time.sleep(0)  # warn() runs in the main thread: from here on it sees that nobody is inside
        if attempt is None or attempt.warned:
            # The interpreter looks for it at each turn of a loop. (To take it back, as the C API can, leaves 3.11
            # looking for ever: every function gets slower, and a traced one hangs.)
            for _ in range(_TURNS):
                pass

    def warn(self) -> None:
        """The main thread: raise SoftTimeout in the thread when it next runs Python code, if its time is up."""
        attempt = self._inside
        if attempt is None or not attempt.overdue():
            return
        self._throwing = True
        if self._inside is attempt:
            attempt.warned = True
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.thread), ctypes.py_object(SoftTimeout))
        self._throwing = False
