"""Test process: reaping, with small real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import eventually
from tests.supervisor.real import gone as ended
from worker import platform
from worker.supervisor import reaper


def start(code: str, **keys: Any) -> int:
    process = subprocess.Popen([sys.executable, "-S", "-c", code], start_new_session=True, **keys)
    process.returncode = 0
    return process.pid


def reaped(own: set[int], *, count: int = 1) -> list[reaper.Reaped]:
    gone: list[reaper.Reaped] = []

    def done() -> bool:
        gone.extend(reaper.reap(own))
        return len(gone) >= count

    eventually(done)
    return gone


@pytest.fixture(params=["peek", "wait"])
def any_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With waitid, and without it, as on macOS before Python 3.13."""
    if request.param == "wait":
        monkeypatch.setattr(platform, "peek_dead", lambda: -1)


def parent_of(path: Any) -> str:
    """A child that starts a child of its own in its group, says its pid, and waits."""
    return f"import os,time; pid=os.fork(); pid and open({str(path)!r},'w').write(str(pid)); time.sleep(60)"


def gone(pid: int) -> Callable[[], bool]:
    def check() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        try:
            return os.waitpid(pid, os.WNOHANG)[0] == pid
        except ChildProcessError:
            return False

    return check


@pytest.mark.usefixtures("any_system")
def test_a_dead_child_is_reaped_with_its_status_and_its_peak():
    pid = start("import sys; sys.exit(3)")
    (death,) = reaped({pid})
    assert (death.pid, os.waitstatus_to_exitcode(death.status)) == (pid, 3)
    assert 1 << 20 < death.peak < 1 << 30


@pytest.mark.usefixtures("any_system")
def test_the_group_of_a_dead_child_is_killed(tmp_path: Any):
    pid = start(parent_of(tmp_path / "pid"))
    eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    grandchild = int((tmp_path / "pid").read_text())
    os.kill(pid, signal.SIGKILL)
    reaped({pid})
    eventually(lambda: ended(grandchild))


@pytest.mark.usefixtures("any_system")
def test_nobody_dead_is_nobody_reaped():
    assert list(reaper.reap(set())) == []
    pid = start("import time; time.sleep(60)")
    assert list(reaper.reap({pid})) == []
    reaper.kill_group(pid)
    reaped({pid})


@pytest.mark.usefixtures("any_system")
def test_a_process_that_is_not_ours_is_reaped_and_not_told():
    own, foreign = start("pass"), start("pass")
    (death,) = reaped({own})
    assert death.pid == own
    eventually(lambda: list(reaper.reap({own})) or gone(foreign)())


def test_a_stopped_process_is_killed_too():
    pid = start("import time; time.sleep(60)")
    os.kill(pid, signal.SIGSTOP)
    reaper.kill_group(pid)
    (death,) = reaped({pid})
    assert os.WTERMSIG(death.status) == signal.SIGKILL


def test_a_group_that_is_gone_is_no_error():
    pid = start("pass")
    reaped({pid})
    reaper.kill_group(pid)


def test_what_was_left_to_us_is_ended_and_what_was_there_before_is_not():
    before = start("import time; time.sleep(60)")
    known = frozenset(platform.children())
    left = [start("import time; time.sleep(60)") for _ in range(3)]
    ended = reaper.end_adopted(known)
    if platform.children():
        assert ended == 3
        assert all(gone(pid)() for pid in left)
    assert not gone(before)()
    for pid in [before, *left]:
        reaper.kill_group(pid)
    list(reaper.reap(set()))
    eventually(gone(before))
