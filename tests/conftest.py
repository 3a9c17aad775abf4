"""Test process: what every test relies on."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A shared machine stalls any example now and then, which says nothing about the code. CI draws the same examples
# every time, so that a red run is the change's fault; developers draw new ones.
settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("local"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "local")

_THREADS = Path(f"/proc/{os.getpid()}/task")


def _children() -> set[int]:
    try:
        return {int(pid) for thread in _THREADS.iterdir() for pid in (thread / "children").read_text().split()}
    except FileNotFoundError:  # macOS; or a thread ended under our eyes
        listing = subprocess.run(["pgrep", "-P", str(os.getpid())], capture_output=True, check=False, text=True)
        return {int(pid) for pid in listing.stdout.split()}


def _descriptors() -> dict[int, str]:
    found = {}
    for name in os.listdir("/dev/fd"):  # noqa: PTH208 - names only: Path.iterdir would touch each
        try:
            found[int(name)] = str(os.fstat(int(name))[:3])
        except OSError:
            continue  # the descriptor of the listing itself
    return found


def eventually(condition: Callable[[], object], *, seconds: float = 10.0) -> None:
    """Wait for a fact, bounded; fails the test when it does not come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not true after {seconds} s: {condition}"
        time.sleep(0.002)  # the pause of a poll; the fact decides


@pytest.fixture(autouse=True)
def no_child_left() -> Iterator[None]:
    """Fails a test that leaves a child process behind, running or not reaped."""
    before = _children()
    yield
    if _children() - before:
        gc.collect()
        eventually(lambda: not _children() - before, seconds=2.0)


@pytest.fixture
def no_descriptor_left() -> Iterator[None]:
    """Fails a test that leaves a descriptor open."""
    before = _descriptors().items()
    yield
    if _descriptors().items() - before:
        gc.collect()  # a mapping or a socket in a cycle
        assert _descriptors().items() <= before


@pytest.fixture
def python() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a real child process on a piece of source; `fds` reach it as sys.argv[1:], by the same numbers."""
    children: list[subprocess.Popen[bytes]] = []

    def start(source: str, *fds: int, stderr: int | None = None) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", source, *map(str, fds)]
        child = subprocess.Popen(command, pass_fds=fds, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr)
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate()
