"""Template process: what the import of the application left that a fork breaks or shares: threads, connections."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

_TASKS = Path("/proc/self/task")
_DESCRIPTORS = Path("/proc/self/fd")
#: Seconds that a thread which is about to end gets for it, and seconds between two looks.
_PATIENCE, _LOOK = 1.0, 0.01
#: What stands behind "anon_inode:" for the heart of an event loop.
_EVENT_LOOP = "anon_inode:[eventpoll]"
#: Threads and connections that a message names.
_NAMED = 10


def threads_fault(handler: str) -> str:
    """Why an application with threads cannot be preloaded, and what to do; "" if it has none.

    A fork copies the thread that forks, and every lock as it is: those that other threads held are never released. A
    thread that ends by itself within a second does no harm.
    """
    end = time.monotonic() + _PATIENCE
    while (found := _threads()) and time.monotonic() < end:
        time.sleep(_LOOK)
    if not found:
        return ""
    count = "a thread" if len(found) == 1 else f"{len(found)} threads"
    return (
        f"cannot preload {handler!r}: importing it starts {count}, which a forked handler would lack: "
        f"{', '.join(found[:_NAMED])}. Start them in on_start, or set preload = false"
    )


def descriptors() -> dict[int, str]:
    """What every open descriptor is, as /proc says it."""
    found = {}
    for path in _DESCRIPTORS.iterdir():
        try:
            found[int(path.name)] = str(path.readlink())
        except OSError:
            continue  # the descriptor of this listing
    return found


def shared(before: dict[int, str]) -> list[str]:
    """Sockets and event loops that are open now and were not `before`: every handler would get the same one.

    Files are not among them: to append to one log together is common, and does no harm.
    """
    opened = [(fd, what) for fd, what in sorted(descriptors().items()) if before.get(fd) != what]
    texts = [_connection(fd) for fd, what in opened if what.startswith("socket:")]
    texts += ["an event loop" for _, what in opened if what == _EVENT_LOOP]
    return list(dict.fromkeys(texts))[:_NAMED]


def _threads() -> list[str]:
    others = {int(path.name) for path in _TASKS.iterdir()} - {os.getpid()}
    threading = sys.modules.get("threading")
    known = {thread.native_id: thread for thread in threading.enumerate()} if threading and others else {}
    named = []
    for number in sorted(others):
        if number in known:
            named.append(repr(known[number].name))
        elif name := _native_name(number):
            named.append(f"{name!r} (of C code; for numerical libraries, OMP_NUM_THREADS=1 prevents it)")
    return named


def _native_name(number: int) -> str:
    try:
        return (_TASKS / str(number) / "comm").read_text().strip()
    except OSError:
        return ""  # it has ended


def _connection(fd: int) -> str:
    """A socket in words. Never what is written to it."""
    with socket.socket(fileno=os.dup(fd)) as one:
        try:
            return f"a connection to {_address(one.getpeername())}"
        except OSError:
            return f"a socket at {_address(one.getsockname())}"


def _address(address: object) -> str:
    if isinstance(address, tuple):
        return f"{address[0]}:{address[1]}"
    return str(address) if address else "another socket of this process"
