"""Test process: what the kernel does for us, on the kernel we run on; see worker/platform.py."""

from __future__ import annotations

import mmap
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import eventually
from worker import platform

pytestmark = pytest.mark.usefixtures("no_descriptor_left")

Child = Callable[..., subprocess.Popen[bytes]]


def test_the_clock_never_goes_back_and_is_the_same_in_every_process(python: Child) -> None:
    """A time of another process lies between two of ours, so that deadlines may travel in frames and slots."""
    before = platform.now()
    other = float(python("from worker import platform; print(platform.now())").communicate(timeout=10)[0])
    assert before < other < platform.now()


def test_an_anonymous_file_is_shared_empty_and_private() -> None:
    """Zero bytes of the size asked for, seen by every mapping of it, not inherited by a sub-process of user code."""
    fd = platform.anonymous_file("test", 5000)
    assert os.fstat(fd).st_size == 5000
    assert not os.get_inheritable(fd)
    first, second = platform.map_file(fd), platform.map_file(fd)
    os.close(fd)
    assert first[:] == bytes(5000)
    first[4999] = 7
    assert second[4999] == 7


def test_an_anonymous_file_without_memfd_leaves_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way of macOS: a temporary file whose name is gone at once."""
    monkeypatch.delattr(os, "memfd_create", raising=False)
    fd = platform.anonymous_file("test", 100)
    facts = os.fstat(fd)
    assert (facts.st_size, facts.st_nlink) == (100, 0)
    assert not os.get_inheritable(fd)
    os.close(fd)


MIDDLE = """
import os, subprocess, sys
subprocess.Popen([sys.executable, "-c", '''
import os, sys
from worker import platform
platform.die_with_parent(int(sys.argv[1]))
reading, writing = os.pipe()
print(os.getpid(), flush=True)
os.read(reading, 1)
''', str(os.getpid())]).wait()
"""


def test_a_child_dies_with_its_killed_parent(python: Child) -> None:
    """SIGKILL of the parent is SIGKILL of a child that would wait for ever (Linux; macOS says that it cannot)."""
    if not platform.LINUX:
        assert not platform.die_with_parent(os.getppid())
        return
    middle = python(MIDDLE)
    assert middle.stdout is not None
    grandchild = int(middle.stdout.readline())
    middle.kill()
    # Both hold the pipe, so it ends when the last of them is gone.
    if not select.select([middle.stdout], [], [], 10)[0]:
        os.kill(grandchild, signal.SIGKILL)
        pytest.fail("the grandchild outlived its parent by 10 s")
    assert middle.stdout.read() == b""


def test_a_child_whose_parent_died_before_it_was_armed_exits(python: Child) -> None:
    """The parent named in SETUP is not the parent any more: the process ends (75) instead of living on alone."""
    child = python("from worker import platform; platform.die_with_parent(1); print('lives')")
    assert child.communicate(timeout=10)[0] == (b"" if platform.LINUX else b"lives\n")
    assert child.returncode == (os.EX_TEMPFAIL if platform.LINUX else 0)


ORPHAN = """
import os, subprocess, sys
from worker import platform
platform.adopt_orphans()
middle = subprocess.Popen([sys.executable, "-c", '''
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read(1)"]).pid, flush=True)
'''], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
orphan = int(middle.stdout.readline())
middle.wait()
middle.stdin.close()
try:
    print(os.waitpid(orphan, 0) == (orphan, 0))
except ChildProcessError:
    print(False)
"""


def test_an_orphan_below_us_becomes_our_child(python: Child) -> None:
    """After adopt_orphans() a grandchild whose parent ended can be waited for here (Linux; on macOS by init)."""
    assert python(ORPHAN).communicate(timeout=20)[0] == b"%r\n" % platform.LINUX


def test_the_user_at_the_other_end_of_a_socket_is_known() -> None:
    """The kernel names the user behind a unix socket: ours, for a socket pair of our own."""
    here, there = socket.socketpair()
    with here, there:
        assert platform.peer_user(here) == os.getuid()


def test_memory_is_told_in_bytes() -> None:
    """A Python process holds more than 5 MB, and 64 MB more after it filled 64 MB."""
    size = 64 * 1024 * 1024
    # Mapped anew: what earlier tests gave back to the allocator is resident still, and a bytes object may lie in it.
    with mmap.mmap(-1, size) as filled:
        before = platform.resident_bytes()
        for page in range(0, size, mmap.PAGESIZE):
            filled[page] = 1
        grown = platform.resident_bytes() - before
    assert before > 5_000_000
    assert size * 0.9 < grown < size * 2


def test_a_handler_offers_itself_to_the_out_of_memory_killer(python: Child) -> None:
    """Raising one's own score needs no privilege and shows in /proc; where there is no /proc it is no error."""
    source = "from worker import platform; platform.prefer_for_oom(500); print(open('/proc/self/oom_score_adj').read())"
    if not platform.LINUX:
        source = "from worker import platform; platform.prefer_for_oom(500); print(500)"
    assert python(source).communicate(timeout=10)[0].strip() == b"500"


def test_a_dead_child_is_seen_and_left_to_be_reaped(python: Child) -> None:
    """peek_dead() names a zombie as often as it is asked, and whoever reaps it still gets its status."""
    child = python("raise SystemExit(7)")
    if not hasattr(os, "waitid"):
        assert platform.peek_dead() == -1
        return
    eventually(lambda: platform.peek_dead() == child.pid)
    assert platform.peek_dead() == child.pid
    assert child.wait() == 7
    assert platform.peek_dead() != child.pid


@pytest.mark.skipif(not platform.LINUX, reason="asked on Linux only, for handlers that were forked")
def test_one_child_is_known_dead_or_alive_until_it_is_reaped(python: Child) -> None:
    """is_child() and is_dead() look, and leave it to be reaped; a pid that is no child, or no pid, is none."""
    child = python("import time; time.sleep(60)")
    assert platform.is_child(child.pid)
    assert not platform.is_dead(child.pid)
    child.kill()
    eventually(lambda: platform.is_dead(child.pid))
    assert platform.is_child(child.pid)
    child.wait()
    assert not platform.is_child(child.pid)
    assert not any(platform.is_child(pid) for pid in (0, 1, -1, os.getpid(), 2**80))


RENAME = """
import sys
from worker import platform
platform.rename_process("a-long-word", "a-word")
platform.rename_process("nowhere", "x")
platform.rename_process("a-word", "longer-than-there-is-room-for" * 100)
print(open("/proc/self/cmdline").read().rstrip(chr(0)).split(chr(0))[-2:])
"""


@pytest.mark.skipif(not platform.LINUX, reason="there is no such thing elsewhere")
def test_a_process_can_be_shown_by_another_word() -> None:
    """A word of the command line is replaced if the new one has room; else nothing happens."""
    command = [sys.executable, "-c", RENAME, "a-long-word", "7"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ).stdout
    assert shown == "['a-word', '7']\n"


def test_children_are_listed_until_they_are_reaped(python: Child) -> None:
    """A child of this thread is in the list, dead or alive (where /proc tells; else the list is empty)."""
    child = python("print(flush=True)")
    assert child.stdout is not None
    child.stdout.readline()
    assert (child.pid in platform.children()) == Path("/proc/thread-self/children").exists()
    child.kill()
    child.wait()
    assert child.pid not in platform.children()


def test_the_process_behind_a_listening_socket_is_known(tmp_path: Path) -> None:
    """Whoever connects learns the pid of the listener (Linux), so that two pools on one address are told apart."""
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as connection:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        connection.connect(str(tmp_path / "s"))
        assert platform.peer_process(connection) == (os.getpid() if platform.LINUX else 0)
