"""Supervisor process: reaps the dead, our own and those that were left to us, and ends their process groups first."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Collection, Iterator
from resource import struct_rusage
from typing import NamedTuple

from worker import platform


class Reaped(NamedTuple):
    """A child of ours that is gone."""

    pid: int
    status: int  #: as wait() tells it
    peak: int  #: bytes it held at most


def reap(own: Collection[int]) -> Iterator[Reaped]:
    """Every child in `own` that has died. Processes that are not ours (we are PID 1, or a subreaper) are only reaped.

    The group is killed while its leader is a zombie: until it is reaped its number cannot belong to anybody else.
    """
    for pid in platform.dead_children(own):
        if pid in own:
            kill_group(pid)
        with contextlib.suppress(ChildProcessError):
            _, status, usage = os.wait4(pid, 0)
            if pid in own:
                yield Reaped(pid, status, _peak(usage))


def kill_group(pid: int) -> None:
    """SIGKILL the process group that `pid` leads, stopped processes included."""
    # PermissionError: macOS answers so if only zombies are left in the group.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _peak(usage: struct_rusage) -> int:
    return usage.ru_maxrss * 1024 if platform.LINUX else usage.ru_maxrss
