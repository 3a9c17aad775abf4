"""Handler process: from its start to READY: signals, SETUP, the import of the handler function."""

from __future__ import annotations

import io
import mmap
import os
import sys
from dataclasses import dataclass
from functools import partial
from select import POLLIN, poll
from typing import TYPE_CHECKING, Any

from worker.channel import PROTOCOL, Channel, Frame
from worker.handler.application import CannotImport, load, where
from worker.handler.describe import describe
from worker.handler.endings import Endings
from worker.handler.form import form_of, several
from worker.handler.hooks import Hook, Hooks, forgiving, load_hooks
from worker.handler.links import Links, SupervisorGone
from worker.handler.loop import Loop
from worker.handler.run import HandlerFunction
from worker.handler.signals import Alarm, dump_stacks_to, listen
from worker.handler.stream import Stream
from worker.handler.stream_thread import StreamThread
from worker.platform import die_with_parent, leave_no_core, map_file, now, prefer_for_oom
from worker.protocol import ControlFrame
from worker.settings import QueueSettings, Settings, from_json
from worker.slots import ChildState, HandlerSlot, ring_length
from worker.telemetry import Log

if TYPE_CHECKING:
    from worker.handler.concurrent_loop import ConcurrentLoop

#: The out-of-memory killer takes user code before the processes that hold leases.
_OOM_SCORE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What the supervisor tells a handler, or a template, first."""

    settings: Settings
    queue: QueueSettings
    number: int
    uid: int
    parent: int  #: pid of the supervisor
    concurrency: int
    slot: mmap.mmap
    stacks: int  #: descriptor of the file that stacks are written to


class Refused(Exception):
    """This process cannot be a handler; the text says why, `event` is what the log calls it."""

    def __init__(self, text: str, *, event: str = "import_failed") -> None:
        super().__init__(text)
        self.event = event


@dataclass(frozen=True, slots=True)
class Handler:
    """The parts of a handler process that is ready."""

    loop: Loop | ConcurrentLoop
    links: Links
    endings: Endings
    last: Hook | None  #: user code's on_stop, which raises nothing


def boot(control: Channel, function: HandlerFunction | None = None) -> Handler:
    """From the first frame to READY. Raises Refused, SupervisorGone.

    `function`: a template has imported it, and forked this process; else the application is imported here.
    """
    alarm = Alarm()
    listen(alarm)
    first, *later = first_frames(control)
    setup = read_setup(first)
    settle_in(setup)
    slot = HandlerSlot(setup.slot, setup.concurrency)
    slot.tell(pid=os.getpid(), state=ChildState.STARTING)
    stream = Stream(ring_length(setup.concurrency))
    links = Links(control, stream)
    endings = Endings(lambda: _open_log(setup), links, stream)
    os.register_at_fork(after_in_child=endings.disown)
    function, hooks = _import(setup, endings, function)
    loop = _loop(function, setup.queue, slot=slot, links=links, stream=stream, alarm=alarm, endings=endings)
    _start(hooks.on_start, loop, setup, endings)
    control.send(ControlFrame.READY, {"protocol": PROTOCOL})
    links.obey(later)
    last = forgiving(hooks.on_stop, partial(endings.report_stop, setup.queue.on_stop)) if hooks.on_stop else None
    return Handler(loop, links, endings, last)


def _loop(
    function: HandlerFunction,
    queue: QueueSettings,
    *,
    slot: HandlerSlot,
    links: Links,
    stream: Stream,
    alarm: Alarm,
    endings: Endings,
) -> Loop | ConcurrentLoop:
    form = form_of(function)
    if several(form, queue):
        from worker.handler.concurrency import concurrent_loop  # a plain handler's start need not pay 5 ms for it

        return concurrent_loop(
            function, form, queue=queue, slot=slot, links=links, stream=stream, endings=endings, clock=now
        )
    thread = StreamThread(links, stream)
    thread.start(endings.by_failure)
    return Loop(
        function,
        queue=queue.name,
        timeout=queue.handler_timeout,
        slot=slot,
        links=links,
        stream=stream,
        thread=thread,
        alarm=alarm,
        endings=endings,
        clock=now,
    )


def first_frames(control: Channel) -> list[Frame]:
    """SETUP, and what has come with it: a supervisor may attach a handler that is still booting."""
    arrival = poll()
    arrival.register(control.fileno(), POLLIN)
    while True:
        arrival.poll()
        frames = control.receive()
        if frames:
            return frames
        if control.closed:
            raise SupervisorGone


def read_setup(frame: Frame) -> Setup:
    """Who this process is to be. Raises Refused if it is not for us to understand."""
    header: dict[str, Any] = frame.header if isinstance(frame.header, dict) else {}
    if frame.kind != ControlFrame.SETUP or header.get("protocol") != PROTOCOL:
        theirs = header.get("protocol", "another")
        raise Refused(f"this process speaks protocol {PROTOCOL}, its supervisor {theirs}: restart the whole pool")
    slot_fd, stacks = frame.fds
    slot = map_file(slot_fd)
    os.close(slot_fd)
    settings = from_json(header["settings"])
    return Setup(
        settings=settings,
        queue=settings.queue(header["queue"]),
        number=header["number"],
        uid=header["uid"],
        parent=header["parent"],
        concurrency=header["concurrency"],
        slot=slot,
        stacks=stacks,
    )


def settle_in(setup: Setup) -> None:
    """What holds for the whole life of a process that runs user code.

    A handler that a template forked gets its SETUP only once it is the supervisor's child: armed any earlier, the death
    signal would fire at the end of the process between.
    """
    die_with_parent(setup.parent)
    prefer_for_oom(_OOM_SCORE)
    leave_no_core()
    dump_stacks_to(setup.stacks)
    _write_lines_at_once()


def _import(setup: Setup, endings: Endings, function: HandlerFunction | None) -> tuple[HandlerFunction, Hooks]:
    paths = setup.settings.paths
    try:
        function = function or load(setup.queue, paths)
        hooks = load_hooks(setup.queue, paths, asynchronous=form_of(function).asynchronous)
    except CannotImport as error:
        endings.leave_if_forked(failed=True)
        raise Refused(str(error)) from error.__cause__
    endings.leave_if_forked(failed=False)
    return function, hooks


def _start(on_start: Hook | None, loop: Loop | ConcurrentLoop, setup: Setup, endings: Endings) -> None:
    """User code's preparation: before READY, so that no message waits for it, and none comes if it fails."""
    if on_start is None:
        return
    try:
        loop.call(on_start)
    except BaseException as error:
        endings.leave_if_forked(failed=True)
        text = f"on_start {setup.queue.on_start!r} failed: {describe(error)} ({where(error, setup.settings.paths)})"
        raise Refused(text, event="on_start_failed") from error
    endings.leave_if_forked(failed=False)


def _open_log(setup: Setup) -> Log:
    return Log(
        setup.settings.log_level,
        process="handler",
        queue=setup.queue.name,
        number=setup.number,
        uid=setup.uid,
        pid=os.getpid(),
    )


def _write_lines_at_once() -> None:
    """Let print() write whole lines, though a service manager's pipe is no terminal.

    A handler lives for days and may be killed: what it printed last is what its user will want to read.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
