"""Handler process: puts together the loop and the runner of a handler process that runs several messages at once."""

from __future__ import annotations

import signal
from collections.abc import Callable

from worker.handler.board import Board
from worker.handler.concurrent_loop import ConcurrentLoop, Runner
from worker.handler.endings import Endings
from worker.handler.form import Form
from worker.handler.links import Links
from worker.handler.perform import AnyFunction
from worker.handler.stream import Stream
from worker.settings import QueueSettings
from worker.slots import HandlerSlot


def concurrent_loop(
    function: AnyFunction,
    form: Form,
    *,
    queue: QueueSettings,
    slot: HandlerSlot,
    links: Links,
    stream: Stream,
    endings: Endings,
    clock: Callable[[], float],
) -> ConcurrentLoop:
    """The loop; SIGUSR1 goes to its runner from here on."""
    board = Board(slot, timeout=queue.handler_timeout, clock=clock, ring=links.ring, endings=endings)
    runner = _runner(function, form, queue=queue, board=board, endings=endings)
    signal.signal(signal.SIGUSR1, runner.go_off)
    return ConcurrentLoop(
        runner,
        board,
        queue=queue.name,
        batch=queue.batch,
        slot=slot,
        links=links,
        stream=stream,
        endings=endings,
        clock=clock,
    )


def import_runner(form: Form, queue: QueueSettings) -> None:
    """Import what runs such a handler function: in a template, before it forks the handlers that share it then."""
    if form.asynchronous:
        import worker.handler.event_loop
    elif queue.threads > 1:
        import worker.handler.threads  # noqa: F401 - `_runner` takes it from what is imported then


def _runner(function: AnyFunction, form: Form, *, queue: QueueSettings, board: Board, endings: Endings) -> Runner:
    # Imported where they are needed: asyncio costs a handler's start 25 ms, threading and ctypes 5 ms.
    if form.asynchronous:
        from worker.handler.event_loop import EventLoop

        return EventLoop(function, board, batch=form.batch, report=endings.report, on_error=endings.by_failure)
    if queue.threads > 1:
        from worker.handler.threads import Threads

        count, failed = queue.threads, endings.by_failure
        return Threads(function, board, count=count, batch=form.batch, report=endings.report, on_error=failed)
    from worker.handler.main_thread import MainThread

    return MainThread(function, board, batch=form.batch, report=endings.report)
