"""Handler process: the ways in which it ends without having been told to, and what a forked child of it must not do."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from worker.handler.describe import describe, describe_traceback
from worker.handler.links import Links, SupervisorGone
from worker.handler.stream import Stream
from worker.message import Message
from worker.telemetry import Log

#: What a shell shows of a program that Ctrl-C ended.
_INTERRUPTED = 130


class Endings:
    """Ends the process at once: no exit hook of user code runs, and what it was running stays named in the slot."""

    def __init__(self, open_log: Callable[[], Log], links: Links, stream: Stream) -> None:
        self.forked = False  #: this process is a child that user code forked off
        self._open_log = open_log
        self._log = open_log()
        self._links = links
        self._stream = stream

    def report(self, message: Message, error: BaseException) -> None:
        """Log what a handler function raised; never the body, though user code may have put it into the text."""
        self._log.error(
            "message_failed",
            message=message.id,
            attempt=message.attempt,
            receive_count=message.attributes.get("ApproximateReceiveCount"),
            error=describe(error),
            traceback=describe_traceback(error),
        )

    def report_stop(self, name: str, error: BaseException) -> None:
        """Log what on_stop raised; the process ends as it would have."""
        self.leave_if_forked(failed=True)
        self._log.error("on_stop_failed", function=name, error=describe(error), traceback=describe_traceback(error))

    def by_user_code(self, error: BaseException, message: Message | None) -> NoReturn:
        """User code raised SystemExit or KeyboardInterrupt: a death, not an ack; the message has no outcome.

        The caller holds the links, if this is no forked child. Others may run beside it: they end here as well.
        """
        code = _exit_code(error)
        if not self.forked:
            self._links.check()
            self._stream.flush()
            named = message.id if message is not None else None
            self._log.error("exit_called", message=named, error=describe(error), code=code)
        flush_user_output()
        os._exit(code)

    def leave_if_forked(self, *, failed: bool) -> None:
        """User code forked, and the child has come back to us: what follows is its parent's, so the child ends here."""
        if self.forked:
            flush_user_output()
            os._exit(1 if failed else 0)

    def by_failure(self, error: Exception) -> NoReturn:
        """The process cannot go on. The supervisor replaces it, if there still is one."""
        if isinstance(error, SupervisorGone):
            os._exit(os.EX_TEMPFAIL)
        log = self._open_log()  # anew: the descriptor of the old one may be somebody else's by now
        log.error("handler_failed", error=describe(error), traceback=describe_traceback(error))
        os._exit(os.EX_SOFTWARE)

    def disown(self) -> None:
        """After a fork, in the child: its copies of our sockets would hide our death from the poller."""
        self.forked = True
        self._log.about(forked=True)
        for message in self._stream.started.values():
            message.move_deadline = None
        with contextlib.suppress(OSError):  # user code closed them itself, as daemons do
            self._links.close()


def flush_user_output() -> None:
    """Write out what print() has buffered."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # closed or replaced by user code, no reader: nobody is left to tell
            stream.flush()


def _exit_code(error: BaseException) -> int:
    """As the interpreter does it."""
    if not isinstance(error, SystemExit):
        return _INTERRUPTED
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    with contextlib.suppress(Exception):
        sys.stderr.write(f"{error.code}\n")
    return 1
