"""Chaos process: what the machine withholds from the pool: memory, disk for its logs, a reader of its output."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

_V1, _V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
#: Bytes that a squeezed process may still map beyond what it has.
_ROOM = 2**20
#: Seconds until a killed process is reaped by whoever its parent is by then.
_REAPING = 5.0
#: Bytes of the disk for logs: a storm fills it within seconds.
_DISK = "64k"


class MemoryLimit:
    """A memory limit for all processes of the pool together: a cgroup, where this user may make one (else `possible`
    is False)."""

    def __init__(self, limit: int) -> None:
        self._folder = _make_group(limit)

    @property
    def possible(self) -> bool:
        """Whether there is such a limit."""
        return self._folder is not None

    def add(self, pid: int) -> None:
        """Put a process in; children that it starts from now on are in it as well."""
        if self._folder is not None:
            (self._folder / "cgroup.procs").write_text(str(pid))

    def kills(self) -> int:
        """How many processes the kernel has killed in it for want of memory."""
        if self._folder is None:
            return 0
        for name in ("memory.oom_control", "memory.events"):
            if (self._folder / name).exists():
                rows = (line.split() for line in (self._folder / name).read_text().splitlines())
                return next((int(row[1]) for row in rows if row[0] == "oom_kill"), 0)
        return 0

    def remove(self) -> None:
        """Remove the group. Its processes have to be dead; those that are still to be reaped are waited for."""
        end = time.monotonic() + _REAPING
        while self._folder is not None:
            try:
                self._folder.rmdir()
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
            else:
                self._folder = None


def _make_group(limit: int) -> Path | None:
    try:
        rows = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
        own = {controllers: path for _, controllers, path in rows}
        if "memory" in own:
            folder = Path(f"{_V1}{own['memory']}/chaos-{os.getpid()}")
            name = "memory.limit_in_bytes"
        else:
            folder = Path(f"{_V2}{own['']}/chaos-{os.getpid()}")
            name = "memory.max"
        folder.mkdir()
    except (OSError, KeyError):
        return None
    try:
        (folder / name).write_text(str(limit))
    except OSError:  # the controller is not handed down to us
        folder.rmdir()
        return None
    return folder


def squeeze(pid: int) -> tuple[int, int] | None:
    """Let a process map hardly more memory than it has; gives what `relax` takes, None if it is gone."""
    try:
        mapped = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
        before = resource.prlimit(pid, resource.RLIMIT_AS)
        resource.prlimit(pid, resource.RLIMIT_AS, (mapped + _ROOM, before[1]))
    except (OSError, IndexError):
        return None
    return before


def relax(pid: int, before: tuple[int, int]) -> None:
    """Undo a squeeze, if the process lives."""
    with contextlib.suppress(OSError):
        resource.prlimit(pid, resource.RLIMIT_AS, before)


@contextlib.contextmanager
def full_disk(folder: Path) -> Iterator[Path]:
    """A file for logs on a disk that is soon full: a small tmpfs for root, /dev/full for others."""
    place = folder / "full"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:  # noqa: S603 - our own folder
        yield Path("/dev/full")
        return
    try:
        yield place / "log"
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False, capture_output=True)  # noqa: S603, S607 - as above


@contextlib.contextmanager
def blocked_pipe() -> Iterator[int]:
    """A descriptor to write to that nobody reads, filled to the brim: a write to it blocks for ever."""
    reader, writer = os.pipe()
    # Through a descriptor of its own: O_NONBLOCK on `writer` itself would reach every process that inherits it.
    filler = os.open(f"/proc/self/fd/{writer}", os.O_WRONLY | os.O_NONBLOCK)
    try:
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(filler, b"\n" * 4096)
        yield writer
    finally:
        for fd in (filler, reader, writer):
            os.close(fd)
