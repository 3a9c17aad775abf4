"""Template process: boots, forks handlers when it is asked to, and ends without running anything of the application.

The exit hooks that the application registered belong to the handlers, which inherit them: run here they might remove
what living handlers still use, such as a folder for temporary files.
"""

from __future__ import annotations

import faulthandler
import os
import signal
from collections import deque
from dataclasses import dataclass
from select import POLLIN, POLLOUT, poll

from worker.channel import Channel, Frame
from worker.handler.boot import Refused
from worker.handler.describe import describe_traceback
from worker.handler.endings import flush_user_output
from worker.handler.links import SupervisorGone
from worker.handler.run import HandlerFunction
from worker.platform import rename_process
from worker.protocol import ControlFrame
from worker.telemetry import Log
from worker.template.birth import NEWBORN, bear
from worker.template.boot import Template, boot


@dataclass(frozen=True, slots=True)
class Newborn:
    """A handler process that was forked just now, and holds nothing of its template."""

    control: int  #: descriptor of its control socket
    function: HandlerFunction


def live(control: Channel) -> Newborn:
    """Returns in the handlers that are forked, and only there."""
    try:
        template = boot(control)
        newborn = _serve(template)
        if newborn is not None:
            return newborn
        code = os.EX_OK
    except Refused as refused:
        if refused.__cause__ is not None:
            Log(process="template").error("import_failed", traceback=describe_traceback(refused.__cause__))
        control.send(ControlFrame.FAILED, {"reason": str(refused)})
        code = os.EX_CONFIG
    except SupervisorGone:
        code = os.EX_TEMPFAIL
    flush_user_output()
    os._exit(code)


def _serve(template: Template) -> Newborn | None:
    """Fork whom the supervisor asks for, one after another, until STOP. Raises SupervisorGone."""
    control, waiting = template.control, deque(template.waiting)
    while True:
        while waiting:
            frame = waiting.popleft()
            if frame.kind == ControlFrame.STOP:
                return None
            if frame.kind == ControlFrame.FORK and _fork(template, frame):
                _let_go(template, waiting)
                return Newborn(frame.fds[0], template.function)
        if control.closed:
            raise SupervisorGone
        something = poll()
        something.register(control.fileno(), POLLIN | POLLOUT if control.pending else POLLIN)
        something.poll()
        control.flush()
        waiting.extend(control.receive())


def _fork(template: Template, frame: Frame) -> bool:
    """Fork one handler; True in the handler, False in the template, which has told the supervisor."""
    uid = frame.header["uid"]
    try:
        pid = bear()
    except OSError as error:
        template.control.send(ControlFrame.NOT_FORKED, {"uid": uid, "reason": str(error)})
    else:
        if pid == NEWBORN:
            return True
        template.control.send(ControlFrame.FORKED, {"uid": uid, "pid": pid})
    os.close(frame.fds[0])
    return False


def _let_go(template: Template, waiting: deque[Frame]) -> None:
    """In a handler: close what is the template's, the control sockets of handlers to be forked next among it."""
    # The file of its stacks goes, and another may get its number: until SETUP brings our own, a dump has no place.
    faulthandler.disable()
    faulthandler.unregister(signal.SIGUSR2)
    os.close(template.stacks)
    for frame in waiting:
        for fd in frame.fds:
            os.close(fd)
    template.control.close()
    template.slot = None
    template.log.close()
    rename_process("worker.template", "worker.handler")
