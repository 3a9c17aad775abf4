"""What is withheld from the pool is withheld for certain: a fault that did not happen would prove nothing."""

from __future__ import annotations

import errno
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

from chaos import limits


def fill(path: Path) -> tuple[int, int]:
    """Write until that fails, or 1 MiB: the bytes written, and the error's number."""
    written = 0
    with path.open("ab", buffering=0) as file:
        try:
            while written < 2**20:
                written += file.write(b"x" * 1024)
        except OSError as error:
            return written, error.errno or 0
    return written, 0


def test_a_full_disk_takes_little_and_then_nothing(tmp_path: Path) -> None:
    """64 KiB at most; then ENOSPC, which is not EPIPE and not EAGAIN."""
    with limits.full_disk(tmp_path) as path:
        written, error = fill(path)
    assert error == errno.ENOSPC
    assert written <= 64 * 1024


def test_a_blocked_pipe_takes_nothing_and_blocks(no_descriptor_left: None) -> None:
    """Whoever writes to it without care stands still; O_NONBLOCK does not leak to them."""
    del no_descriptor_left
    with limits.blocked_pipe() as writer:
        assert select.select([], [writer], [], 0)[1] == []
        assert os.get_blocking(writer)


class Child:
    """A process that does a piece of source for every line it gets."""

    def __init__(self, source: str) -> None:
        whole = f"import sys\nfor _ in sys.stdin:\n    {source}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", whole], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self) -> str:
        """What it prints; empty if it dies of it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("more\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self) -> int:
        self.process.communicate()
        return self.process.returncode


def test_a_squeezed_process_gets_no_memory_until_it_is_relaxed() -> None:
    """It asks for 64 MiB each time it is told to."""
    child = Child("""
    try:
        bytearray(64 * 2**20)
        print("got", flush=True)
    except MemoryError:
        print("refused", flush=True)
""")
    try:
        assert child.ask() == "got"
        before = limits.squeeze(child.process.pid)
        assert before is not None
        assert child.ask() == "refused"
        limits.relax(child.process.pid, before)
        assert child.ask() == "got"
    finally:
        assert child.end() == 0
    assert limits.squeeze(child.process.pid) is None


def test_the_kernel_ends_who_takes_more_than_the_group_may() -> None:
    """And counts it. Where this user may make no group there is no limit, and no message that eats."""
    limit = limits.MemoryLimit(64 * 2**20)
    child = Child("bytearray(256 * 2**20)\n    print('got', flush=True)")
    limit.add(child.process.pid)
    answer = child.ask()
    code = child.end()
    assert (answer, code, limit.kills()) == (("", -signal.SIGKILL, 1) if limit.possible else ("got", 0, 0))
    limit.remove()
