"""Handler process: runs attempts one after the other on the main thread, while another one talks: for batches."""

from __future__ import annotations

from queue import SimpleQueue
from types import FrameType
from typing import Any

from worker.handler.attempt import Attempt
from worker.handler.board import Board
from worker.handler.hooks import Hook
from worker.handler.perform import AnyFunction, perform
from worker.handler.run import Report


class MainThread:
    """One attempt at a time. SoftTimeout interrupts it as a signal does, system calls included."""

    def __init__(self, function: AnyFunction, board: Board, *, batch: bool, report: Report) -> None:
        self._function = function
        self._board = board
        self._batch = batch
        self._report = report
        self._waiting: SimpleQueue[Attempt | None] = SimpleQueue()
        self._inside: Attempt | None = None  # user code runs on it

    def call(self, hook: Hook) -> None:
        """Before main()."""
        hook()

    def main(self, last: Hook | None) -> None:
        """Until stop(); then `last`."""
        while (attempt := self._waiting.get()) is not None:
            self._board.begin(attempt)
            try:
                outcomes = perform(self._guarded(attempt), attempt, batch=self._batch, report=self._report)
            except (SystemExit, KeyboardInterrupt) as error:
                self._board.exit(error, attempt.messages[0])
                continue
            self._board.end(attempt, outcomes)
        if last is not None:
            last()

    def start(self, attempts: list[Attempt]) -> None:
        """Loop's thread: run these, soon."""
        for attempt in attempts:
            self._waiting.put(attempt)

    def stop(self) -> None:
        """Loop's thread: nothing runs any more; let main() return."""
        self._waiting.put(None)

    def go_off(self, _number: int, _frame: FrameType | None) -> None:
        """The handler of SIGUSR1. Raises SoftTimeout, once an attempt."""
        attempt = self._inside
        if attempt is not None and attempt.overdue():
            attempt.warned = True
            raise attempt.late()

    def _guarded(self, attempt: Attempt) -> AnyFunction:
        def call(argument: Any) -> Any:
            self._inside = attempt
            try:
                return self._function(argument)
            finally:
                self._inside = None

        return call
