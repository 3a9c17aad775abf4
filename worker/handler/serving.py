"""Handler process: its life, from the first frame to the exit code; exec'd or forked by a template."""

from __future__ import annotations

import os

from worker.channel import Channel
from worker.handler.boot import Handler, Refused, boot
from worker.handler.describe import describe_traceback
from worker.handler.endings import flush_user_output
from worker.handler.links import SupervisorGone
from worker.handler.run import HandlerFunction
from worker.protocol import ControlFrame
from worker.telemetry import Log


def serve(control: Channel, function: HandlerFunction | None = None) -> int:
    """Serve until STOP; gives the exit code. Every other end is in `endings`. `function`: as for `boot`."""
    handler = _boot(control, function)
    try:
        handler.loop.run(handler.last)
    except Exception as error:  # noqa: BLE001 - whatever it is, this process cannot serve any more
        handler.endings.by_failure(error)
    handler.endings.leave_if_forked(failed=False)
    handler.links.finish()
    return os.EX_OK


def _boot(control: Channel, function: HandlerFunction | None) -> Handler:
    try:
        return boot(control, function)
    except Refused as refused:
        if refused.__cause__ is not None:
            Log(process="handler").error(refused.event, traceback=describe_traceback(refused.__cause__))
        control.send(ControlFrame.FAILED, {"reason": str(refused)})
        code = os.EX_CONFIG
    except SupervisorGone:
        code = os.EX_TEMPFAIL
    # Not the ordinary end: threads that the application started before its import failed would keep the process.
    flush_user_output()
    os._exit(code)
