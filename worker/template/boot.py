"""Template process: from its start to READY: signals, SETUP, the application, and whether it can be forked."""

from __future__ import annotations

import gc
import os
from dataclasses import dataclass

from worker.channel import PROTOCOL, Channel, Frame
from worker.handler.application import CannotImport, load
from worker.handler.boot import Refused, Setup, first_frames, read_setup, settle_in
from worker.handler.endings import flush_user_output
from worker.handler.form import form_of, several
from worker.handler.hooks import load_hooks
from worker.handler.run import HandlerFunction
from worker.handler.signals import Alarm, catch
from worker.platform import now, resident_bytes
from worker.protocol import ControlFrame
from worker.slots import ChildState, HandlerSlot
from worker.telemetry import Log
from worker.template.leftovers import descriptors, shared, threads_fault


@dataclass(slots=True, eq=False)
class Template:
    """What a template holds. No stream and no slot of a handler is among it."""

    control: Channel
    stacks: int  #: descriptor of the file that its stacks are written to
    slot: HandlerSlot | None  #: its own, for its pid and its memory
    log: Log
    function: HandlerFunction
    waiting: list[Frame]


def boot(control: Channel) -> Template:
    """From the first frame to READY. Raises Refused, SupervisorGone."""
    catch(Alarm())
    first, *later = first_frames(control)
    setup = read_setup(first)
    settle_in(setup)
    slot = HandlerSlot(setup.slot, setup.concurrency)
    slot.tell(pid=os.getpid(), state=ChildState.STARTING)
    log = Log(setup.settings.log_level, process="template", queue=setup.queue.name, uid=setup.uid, pid=os.getpid())
    before = descriptors()
    function = _import(setup)
    form = form_of(function)
    if several(form, setup.queue):
        from worker.handler.concurrency import import_runner  # a template of plain handlers does without

        import_runner(form, setup.queue)
    fault = threads_fault(setup.queue.handler)
    if fault:
        raise Refused(fault)
    common = shared(before)
    if common:
        reason = "every handler gets the same one: make it in on_start"
        log.warning("preload_shared", what=", ".join(common), reason=reason)
    # Text that is still buffered would be printed by every handler.
    flush_user_output()
    # What lives now lives as long as the handlers. A collection in one of them would otherwise write to the header of
    # every object, and each page written to is a page of its own.
    gc.collect()
    gc.freeze()
    slot.progress(done=0, failed=0, busy=0.0, resident=resident_bytes(), now=now())
    slot.tell(pid=os.getpid(), state=ChildState.READY)
    control.send(ControlFrame.READY, {"protocol": PROTOCOL})
    return Template(control, setup.stacks, slot, log, function, later)


def _import(setup: Setup) -> HandlerFunction:
    pid = os.getpid()
    try:
        function = load(setup.queue, setup.settings.paths)
        # Each handler calls them, and not the template; here they are only found, or found missing.
        load_hooks(setup.queue, setup.settings.paths, asynchronous=form_of(function).asynchronous)
    except CannotImport as error:
        _leave_if_forked(pid, failed=True)
        raise Refused(str(error)) from error.__cause__
    _leave_if_forked(pid, failed=False)
    return function


def _leave_if_forked(pid: int, *, failed: bool) -> None:
    """The application forked while it was imported, and the child has come back to us: there is one template."""
    if os.getpid() != pid:
        flush_user_output()
        os._exit(1 if failed else 0)
