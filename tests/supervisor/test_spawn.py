"""Test process: how a child is started, and what it inherits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.conftest import eventually
from worker.channel import pair
from worker.platform import LINUX
from worker.supervisor import reaper, spawn
from worker.supervisor.tree import Role

CHECKOUT = Path("/srv/checkout")


def test_a_checkout_is_named_to_children_after_the_users_own_folders():
    env = spawn.environment({"PYTHONPATH": f"/a{os.pathsep}/b", "X": "1"}, CHECKOUT)
    assert env == {"PYTHONPATH": f"/a{os.pathsep}/b{os.pathsep}/srv/checkout", "X": "1"}
    assert spawn.environment({}, CHECKOUT) == {"PYTHONPATH": "/srv/checkout"}


@pytest.mark.parametrize("folder", ["/usr/lib/python3/dist-packages", "/venv/lib/python3.12/site-packages"])
def test_an_installed_package_is_not_put_before_the_standard_library(folder: str):
    assert spawn.environment({"X": "1"}, Path(folder)) == {"X": "1"}


def test_a_folder_that_is_named_already_is_not_named_twice():
    assert spawn.environment({"PYTHONPATH": "/srv/checkout"}, CHECKOUT) == {"PYTHONPATH": "/srv/checkout"}


def test_the_working_directory_decides_nothing_about_what_a_child_imports():
    assert spawn.command(Role.POLLER, 7) == [sys.executable, "-P", "-m", "worker.poller", "7", str(os.getpid())]


#: A supervisor that dies while its child is importing.
SHORT_LIVED = """
import os, pathlib, subprocess, sys, time
command = [sys.executable, "-m", f"worker.{sys.argv[1]}", "0", str(os.getpid())]
child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
while not pathlib.Path(sys.argv[2]).exists():
    time.sleep(0.002)
print(child.pid)
"""


@pytest.mark.skipif(not LINUX, reason="only Linux ends a process with its parent")
@pytest.mark.parametrize("role", ["handler", "poller", "template"])
def test_a_child_whose_imports_never_end_dies_with_its_supervisor(role: str, tmp_path: Path):
    """Nothing else would end it: it listens to nobody yet."""
    mark = tmp_path / "importing"
    (tmp_path / "orjson.py").write_text(f"import pathlib, time\npathlib.Path({str(mark)!r}).touch()\ntime.sleep(60)\n")
    done = subprocess.run(
        [sys.executable, "-c", SHORT_LIVED, role, str(mark)],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        timeout=30,  # the child has the pipe too: a run that ends before the import does is a child that died
    )
    eventually(lambda: not _lives(int(done.stdout)))


def _lives(pid: int) -> bool:
    """Whether it runs; whoever reaps it may take its time."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


REPORT = """
import json, os, signal, socket, sys
fd = int(sys.argv[1])
open_fds = []
for number in range(3, 4096):
    try:
        os.fstat(number)
        open_fds.append(number)
    except OSError:
        pass
ignored = [int(s) for s in signal.Signals if signal.getsignal(s) is signal.SIG_IGN]
leader = os.getsid(0) == os.getpid() == os.getpgid(0)
stdin = os.fstat(0).st_rdev == os.stat("/dev/null").st_rdev
socket.socket(fileno=fd).send(json.dumps([open_fds, leader, stdin, ignored]).encode())
"""


def test_a_child_leads_its_own_session_and_inherits_its_control_socket_only():
    ours, theirs = pair()
    with Path(os.devnull).open() as held, ours, theirs:
        os.set_inheritable(held.fileno(), False)
        pid = spawn.start([sys.executable, "-c", REPORT, str(theirs.fileno())], theirs.fileno())
        ours.settimeout(10)
        open_fds, leader, stdin, ignored = json.loads(ours.recv(4096))
        assert open_fds == [theirs.fileno()]
        assert leader
        assert stdin
        assert set(ignored) <= {signal.SIGPIPE, signal.SIGXFSZ}
        gone: list[reaper.Reaped] = []
        eventually(lambda: gone.extend(reaper.reap({pid})) or gone)


def test_a_program_that_is_not_there_is_an_error_and_leaves_no_process():
    ours, theirs = pair()
    with ours, theirs, pytest.raises(OSError, match="No such file"):
        spawn.start(["/nonexistent/python"], theirs.fileno())
