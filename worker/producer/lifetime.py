"""Producer process: what the interpreter's exit and os.fork() mean for producers that have begun to send."""

from __future__ import annotations

import atexit
import os
from typing import Protocol


class _Engine(Protocol):
    def close(self) -> None: ...
    def after_fork(self) -> None: ...


#: Held on to until they are closed: a program may drop its producer with messages in it.
_watched: set[_Engine] = set()
_hooked = False


def watch(engine: _Engine) -> None:
    """Close it at exit, and tell it of forks."""
    global _hooked
    if not _hooked:
        _hooked = True
        # atexit runs when all threads that are no daemons have ended, so nobody sends any more but other hooks.
        atexit.register(_close_all)
        os.register_at_fork(after_in_child=_after_fork)
    _watched.add(engine)


def forget(engine: _Engine) -> None:
    """It is closed."""
    _watched.discard(engine)


def _close_all() -> None:
    for engine in list(_watched):
        engine.close()


def _after_fork() -> None:
    for engine in list(_watched):
        engine.after_fork()
