"""Every process: log lines, and the names of counters. A log line is an event name and fields, one JSON object a line.

Logs never block a message: a line that standard error does not take at once is dropped and counted, and the next line
that goes through is preceded by the count. O_NONBLOCK is never set on standard error itself, since every process that
shares it would get it: a pipe or terminal is opened anew (or asked before each write, where that cannot be), a socket
is told per call.
"""

from __future__ import annotations

import os
import re
import select
import socket
import stat
import time
from collections.abc import Sequence
from typing import Any

import orjson

#: What a poller counts, in the order in which they stand in its slot. All but the last three only rise.
COUNTERS = (
    "received",  # deliveries that receives brought
    "deleted",  # settled by a confirmed delete, after an ack or a forward
    "released",  # settled by a confirmed visibility change: retries, and what a drain gives back
    "dead_lettered",  # sent to the dead-letter queue, confirmed, and deleted
    "lost",  # leases that ran out while we held them
    "forwarded",  # of the deleted ones: those whose forward was sent and confirmed first
    "retried",  # outcomes retry, of handler functions
    "rejected",  # outcomes reject, of handler functions
    "repeated",  # of the deleted ones: redeliveries of done messages, deleted without running again
    "parked",  # second deliveries of messages that were held already
    "late",  # outcomes that came after the lease was lost
    "crashed",  # messages that a handler process died with
    "overdue",  # messages that reached their handler deadline
    "attempts",  # messages given to a handler
    "calls",  # requests to AWS
    "receives",  # of the calls: receives that completed
    "empty_receives",  # of the receives: those that brought nothing
    "beats",  # leases extended
    "failures",  # requests to AWS that failed
    "received_bytes",  # body bytes received
    "ready",  # now in the ready line
    "running",  # now given to handlers
    "in_flight",  # now received and not settled
)

#: What calls to AWS can fail with (policy.failures), numbered for a poller's slot; the first: nothing.
TROUBLES = (
    "",
    *("transient", "throttled", "credentials", "clock", "denied", "kms", "queue_gone", "lease", "capacity", "invalid"),
)

#: What can keep a poller from being faster (policy.pace), numbered for its slot; the first: nothing known.
LIMITS = ("", "queue", "polls", "handlers", "deletes", "bytes", "leases", "cpu", "endpoint")

#: What a pool can wait for that ends when its queues are empty (policy.emptiness), likewise; the first: nothing.
AWAITED = ("", "held", "hidden", "visible", "in_flight", "delayed", "endpoint", "receives")

#: Levels, with the syslog numbers that journald understands as a "<N>" prefix.
LEVELS = {"debug": 7, "info": 6, "warning": 4, "error": 3}

#: A pipe takes this many bytes whole or not at all (PIPE_BUF: 4096 on Linux).
_LONGEST_LINE = 4096
#: What a pipe that is said to be writable takes without blocking, everywhere (POSIX: PIPE_BUF is 512 at least).
_SURE = 512
_LONGEST_FIELD = 1024
#: What JSON leaves as it is but a terminal, a pager or a line splitter acts upon: DEL, C1 controls (U+009B starts an
#: escape sequence), line separators, direction overrides. Written as escapes.
_ACTIVE = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class Log:
    """Writes log lines to standard error; one per process. `about` are fields of every line (process, queue)."""

    def __init__(self, level: str = "info", *, human: bool | None = None, **about: Any) -> None:
        self.level = level
        self._about = about
        self._human = os.isatty(2) if human is None else human
        self._dropped = 0
        self._unfinished = b""  # the rest of a line that was taken in part; nothing may come between
        self._open()

    def about(self, **fields: Any) -> None:
        """Add fields to every later line."""
        self._about.update(fields)

    def debug(self, event: str, **fields: Any) -> None:
        self._write("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        self._write("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._write("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._write("error", event, fields)

    def lines(self, level: str, many: Sequence[dict[str, Any]]) -> None:
        """Lines with exactly these fields, in as few writes as a pipe takes whole; each is below 4 KB."""
        if LEVELS[level] > LEVELS[self.level]:
            return
        chunk, count = b"", 0
        for line in map(_dump, many):
            if chunk and len(chunk) + len(line) > _LONGEST_LINE:
                self._put_many(chunk, count)
                chunk, count = b"", 0
            chunk, count = chunk + line, count + 1
        self._put_many(chunk, count)

    def _put_many(self, chunk: bytes, count: int) -> None:
        if self._dropped and self._put(self._line("warning", "log_lines_dropped", {"count": self._dropped})):
            self._dropped = 0
        if self._dropped or not self._put(chunk):
            self._dropped += count

    def _open(self) -> None:
        self._socket: socket.socket | None = None
        self._asking = False  # whether to ask if a write would block, before each
        self._fd = -1
        try:
            mode = os.fstat(2).st_mode
        except OSError:
            return  # closed: whatever is opened next may become descriptor 2, and is not for our lines
        self._fd = 2
        if stat.S_ISSOCK(mode):
            self._socket = socket.socket(fileno=os.dup(2))
        elif stat.S_ISFIFO(mode) or os.isatty(2):
            try:
                self._fd = os.open("/proc/self/fd/2", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            except OSError:
                self._asking = True  # no /proc (macOS), or a terminal of another user

    def close(self) -> None:
        """Close what was opened for it; descriptor 2 stays. Nothing may be logged afterwards."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        elif self._fd > 2:
            os.close(self._fd)
        self._fd = -1

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        if LEVELS[level] > LEVELS[self.level]:
            return
        self._put_many(self._line(level, event, fields), 1)

    def _line(self, level: str, event: str, fields: dict[str, Any]) -> bytes:
        shown = {name: _clip(value) for name, value in (self._about | fields).items() if value is not None}
        stamp = time.time()
        if self._human:
            text = " ".join(f"{name}={_plain(value)}" for name, value in shown.items())
            return f"{time.strftime('%H:%M:%S', time.localtime(stamp))} {level:7} {event:24} {text}\n".encode()
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(stamp)) + f".{int(stamp % 1 * 1000):03}Z"
        line = _dump({"time": when, "level": level, "event": event} | shown)
        while len(line) >= _LONGEST_LINE and shown:
            longest = max(shown, key=lambda name: len(str(shown[name])))
            text = str(shown.pop(longest))
            if len(text) > 1:
                shown[longest] = text[: len(text) // 2]
            line = _dump({"time": when, "level": level, "event": event, "clipped": True} | shown)
        return line

    def _put(self, line: bytes) -> bool:
        """Write a line whole or not at all, as far as its callers can tell; False if it was not taken."""
        try:
            if self._unfinished:
                self._unfinished = self._unfinished[self._take(self._unfinished) :]
                if self._unfinished:
                    return False
            taken = self._take(line)
        except OSError:
            return False  # blocked, full disk, or no reader: dropped, and counted by the caller
        if taken:
            self._unfinished = line[taken:]
        return taken > 0

    def _take(self, data: bytes) -> int:
        """How many bytes went through."""
        if self._socket is not None:
            return self._socket.send(data, socket.MSG_DONTWAIT)
        if not self._asking:
            return os.write(self._fd, data)
        taken = 0
        while taken < len(data) and select.select([], [self._fd], [], 0)[1]:
            taken += os.write(self._fd, data[taken : taken + _SURE])
        return taken


def _clip(value: Any) -> Any:
    return value[:_LONGEST_FIELD] if isinstance(value, str | bytes) else value


def _plain(value: Any) -> str:
    """A value for a terminal: control characters escaped, so that no message can drive the terminal."""
    text = str(value)[:_LONGEST_FIELD]
    return text if text.isprintable() and " " not in text else ascii(text)


def _dump(line: dict[str, Any]) -> bytes:
    try:
        text = _json(line)
    except orjson.JSONEncodeError:
        text = _json({name: _tame(value) for name, value in line.items()})
    text += b"\n"
    if text.isascii() and b"\x7f" not in text:
        return text
    return _ACTIVE.sub(lambda found: f"\\u{ord(found[0]):04x}", text.decode()).encode()


def _tame(value: Any) -> Any:
    """The value if JSON can hold it, else its text, escaped: a lone surrogate, or an integer above 64 bits."""
    try:
        _json(value)
    except orjson.JSONEncodeError:
        return str(value).encode("ascii", "backslashreplace").decode()
    return value


def _json(value: Any) -> bytes:
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS)
