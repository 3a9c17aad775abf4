"""Benchmark process: what a tree of processes uses: CPU, memory, wakeups. psutil and /proc tell, not the tree."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

_GONE = (psutil.NoSuchProcess, psutil.ZombieProcess, FileNotFoundError, ProcessLookupError)
_MB = 1e6


@dataclass(frozen=True, slots=True)
class Memory:
    """Megabytes (10^6 bytes) of one process."""

    resident: float
    own: float  #: USS: what would be free if it ended


def tree(roots: Iterable[int]) -> list[psutil.Process]:
    """These processes and all below them."""
    found: dict[int, psutil.Process] = {}
    for pid in roots:
        with contextlib.suppress(*_GONE):
            root = psutil.Process(pid)
            found[pid] = root
            found |= {one.pid: one for one in root.children(recursive=True)}
    return list(found.values())


def cpu(roots: Iterable[int]) -> float:
    """CPU seconds, user and system, of all living processes and of those they have reaped.

    The kernel counts in hundredths of a second; windows of seconds keep that below a percent.
    """
    total = 0.0
    for process in tree(roots):
        with contextlib.suppress(*_GONE):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def memory(pid: int) -> Memory:
    """What one process holds; nothing if it is gone."""
    try:
        full = psutil.Process(pid).memory_full_info()
        return Memory(full.rss / _MB, full.uss / _MB)
    except (*_GONE, psutil.AccessDenied):
        return Memory(0.0, 0.0)


def memory_of_all(roots: Iterable[int]) -> Memory:
    """The sum over a tree."""
    found = [memory(process.pid) for process in tree(roots)]
    return Memory(sum(one.resident for one in found), sum(one.own for one in found))


def wakeups(roots: Iterable[int]) -> dict[tuple[int, str], int]:
    """How often each thread of a tree went to sleep of its own accord so far. Linux only; empty elsewhere."""
    found: dict[tuple[int, str], int] = {}
    for process in tree(roots):
        with contextlib.suppress(*_GONE, OSError):
            for thread in Path(f"/proc/{process.pid}/task").iterdir():
                for line in (thread / "status").read_text().splitlines():
                    if line.startswith("voluntary_ctxt_switches"):
                        found[process.pid, thread.name] = int(line.split()[1])
    return found


def kill(roots: Iterable[int]) -> None:
    """SIGKILL a whole tree, the leaves last, so that nobody starts them again."""
    for process in tree(roots):
        with contextlib.suppress(*_GONE):
            process.kill()
