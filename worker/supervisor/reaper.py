"""Supervisor process: reaps the dead, our own and those that were left to us, and ends their process groups first."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Collection, Iterator
from resource import struct_rusage
from typing import NamedTuple

from worker import platform

#: Looks for adopted processes at the end, and seconds between two: whoever is killed leaves its own children to us.
_ROUNDS, _ROUND = 20, 0.005


class Reaped(NamedTuple):
    """A child of ours that is gone."""

    pid: int
    status: int  #: as wait() tells it
    peak: int  #: bytes it held at most


def reap(own: Collection[int]) -> Iterator[Reaped]:
    """Every child in `own` that has died. Processes that are not ours (we are PID 1, or a subreaper) are only reaped.

    The group is killed while its leader is a zombie: until it is reaped its number cannot belong to anybody else.
    """
    while pid := platform.peek_dead():
        if pid in own:
            kill_group(pid)
        try:
            gone, status, usage = os.wait4(pid, os.WNOHANG)
        except ChildProcessError:
            return
        if gone == 0:
            return
        if gone not in own:
            continue
        if pid < 0:
            # Reaped unseen: its number stays taken as long as anybody is left in the group that it led.
            kill_group(gone)
        yield Reaped(gone, status, _peak(usage))


def reap_own(own: Collection[int]) -> Iterator[Reaped]:
    """Only those in `own` that have died, on Linux: while a template forks, one that we do not know may be ours.

    It stays a zombie, with its status, until its template has named it or is dead; `reap` does the rest then.
    """
    for pid in [pid for pid in own if platform.is_dead(pid)]:
        kill_group(pid)
        gone, status, usage = os.wait4(pid, os.WNOHANG)
        if gone:
            yield Reaped(gone, status, _peak(usage))


def kill_group(pid: int) -> None:
    """SIGKILL the process group that `pid` leads, stopped processes included."""
    # PermissionError: macOS answers so if only zombies are left in the group.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def end_adopted(known: Collection[int]) -> int:
    """Kill what user code left behind and what became ours by that, besides the children `known` at our start.

    Nothing below us may outlive the pool. Returns how many were killed; 0 where the system names no children (macOS).
    """
    killed: set[int] = set()
    for _ in range(_ROUNDS):
        left = [pid for pid in platform.children() if pid not in known]
        if not left:
            break
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        time.sleep(_ROUND)
        for pid in left:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
    return len(killed)


def _peak(usage: struct_rusage) -> int:
    return usage.ru_maxrss * 1024 if platform.LINUX else usage.ru_maxrss
