"""Chaos process: finds the processes of a pool by looking at /proc, so that nothing has to be asked of the pool."""

from __future__ import annotations

from pathlib import Path

from worker import platform

_PROC = Path("/proc")
#: What the command line of each role names.
_ROLES = {"poller": b"worker.poller", "handler": b"worker.handler"}


def children(pid: int) -> list[int]:
    """The living children of a process, of all its threads."""
    found: list[int] = []
    try:
        for thread in (_PROC / str(pid) / "task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    except (FileNotFoundError, ProcessLookupError):
        pass  # it ended under our eyes
    return found


def roles(supervisor: int) -> dict[str, list[int]]:
    """The pollers and handlers below a supervisor; zombies name no command and are left out."""
    found: dict[str, list[int]] = {role: [] for role in _ROLES}
    for pid in children(supervisor):
        for role, name in _ROLES.items():
            if name in command(pid):
                found[role].append(pid)
    return found


def command(pid: int) -> bytes:
    """The command line of a process; empty for one that is gone or a zombie."""
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def busy_share(before: tuple[int, int] | None) -> tuple[float, tuple[int, int]]:
    """How busy the machine's cores were since `before` (0 to 1), and what to give next time; 0 where nothing tells."""
    if not platform.LINUX:
        return 0.0, (0, 0)
    words = [int(word) for word in (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:]]
    total, idle = sum(words[:8]), words[3] + words[4]
    if before is None or total == before[0]:
        return 0.0, (total, idle)
    return 1.0 - (idle - before[1]) / (total - before[0]), (total, idle)


def carrying(variable: str, *, below: int) -> list[int]:
    """Processes whose environment has this "NAME=value"; not `below` itself, which gave it to them."""
    wanted, found = variable.encode(), []
    for entry in _PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) == below:
            continue
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue  # it has ended, or is not ours to look at
    return found
