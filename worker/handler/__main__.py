"""Handler process: its entry. The supervisor starts it as `python -m worker.handler DESCRIPTOR`."""

from __future__ import annotations

import os
import sys
from socket import socket

from worker.channel import Channel
from worker.handler.boot import Handler, Refused, boot
from worker.handler.describe import describe_traceback
from worker.handler.endings import flush_user_output
from worker.handler.links import SupervisorGone
from worker.protocol import ControlFrame
from worker.telemetry import Log

#: Seconds that the last frames may wait for room in their sockets.
_PATIENCE = 1.0


def main(arguments: list[str]) -> int:
    """Serve until STOP; gives the exit code. Every other end is in `endings`."""
    if len(arguments) != 1 or not arguments[0].isdecimal():
        sys.stderr.write("worker.handler is started by `worker run`\n")
        return os.EX_USAGE
    fd = int(arguments[0])
    os.set_inheritable(fd, False)
    handler = _boot(Channel(socket(fileno=fd)))
    try:
        handler.loop.run()
    except Exception as error:  # noqa: BLE001 - whatever it is, this process cannot serve any more
        handler.endings.by_failure(error)
    handler.links.finish(_PATIENCE)
    return os.EX_OK


def _boot(control: Channel) -> Handler:
    try:
        return boot(control)
    except Refused as refused:
        if refused.__cause__ is not None:
            Log(process="handler").error("import_failed", traceback=describe_traceback(refused.__cause__))
        control.send(ControlFrame.FAILED, {"reason": str(refused)})
        code = os.EX_CONFIG
    except SupervisorGone:
        code = os.EX_TEMPFAIL
    # Not the ordinary end: threads that the application started before its import failed would keep the process.
    flush_user_output()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
