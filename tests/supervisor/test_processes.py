"""Test process: a handler between the request to its template and the template's answer: real processes, no rules."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.conftest import eventually
from tests.supervisor.histories import START
from tests.supervisor.test_links import SET
from worker import platform
from worker.channel import Channel
from worker.protocol import ControlFrame
from worker.supervisor import reaper
from worker.supervisor.processes import Processes
from worker.supervisor.tree import Child, Role

pytestmark = [
    pytest.mark.skipif(not platform.LINUX, reason="handlers are forked on Linux only"),
    pytest.mark.usefixtures("no_descriptor_left"),
]

#: A template that reads nothing.
ASLEEP = "import time; time.sleep(60)"


@pytest.fixture
def template() -> Child:
    return Child(uid=2, role=Role.TEMPLATE, queue_set=SET, number=0, started_at=START)


@pytest.fixture
def handler() -> Child:
    return Child(uid=3, role=Role.HANDLER, queue_set=SET, number=0, started_at=START)


@pytest.fixture
def processes(template: Child, handler: Child) -> Iterator[Processes]:
    """A template, which has been asked for a handler."""
    with selectors.DefaultSelector() as selector:
        made = Processes(selector, lambda _role, _fd: [sys.executable, "-S", "-c", ASLEEP])
        assert made.spawn(template, {}) == ""
        assert made.fork(handler, {"uid": 3}, template=template) == ""
        yield made
        reaper.kill_group(template.pid)
        eventually(lambda: list(reaper.reap({template.pid})))
        made.close()


def dead(code: int) -> int:
    """A child of ours that is dead, as one that a template forked and the kernel gave to us."""
    process = subprocess.Popen([sys.executable, "-S", "-c", f"raise SystemExit({code})"], start_new_session=True)
    process.returncode = 0
    eventually(lambda: platform.is_dead(process.pid))
    return process.pid


def test_who_dies_before_he_was_named_keeps_his_status_until_then(processes: Processes, handler: Child):
    """Reaped as a stranger, his death would be nobody's."""
    pid = dead(7)
    assert processes.reap() == []
    assert platform.is_dead(pid)
    assert processes.adopt(handler, pid)
    [(process, reaped)] = processes.reap()
    assert (process.child, reaped.pid, os.waitstatus_to_exitcode(reaped.status)) == (handler, pid, 7)
    assert processes.reap() == []


def test_strangers_wait_until_nobody_is_being_forked(processes: Processes, handler: Child):
    """Then they are reaped, and told to nobody."""
    pid = dead(0)
    assert processes.reap() == []
    processes.bury(handler)
    assert processes.reap() == []
    assert not platform.is_child(pid)


def test_a_handler_without_a_pid_is_not_signalled(processes: Processes, handler: Child):
    """Pid 0 is the supervisor's own group."""
    heard: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: heard.append(number))
    try:
        processes.signal(handler, signal.SIGUSR1)
        processes.kill(handler)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert heard == []


def test_only_a_child_of_ours_can_be_adopted_and_only_once(processes: Processes, handler: Child, template: Child):
    """User code shares the template's process: what it says may be anything."""
    for pid in (1, 0, -1, os.getpid(), 2**31, 2**80, template.pid):
        assert not processes.adopt(handler, pid)
    assert handler.pid == 0


def test_setup_is_sent_once_the_pid_is_known(processes: Processes, handler: Child):
    """SETUP means: you are the supervisor's child now, and may arm your death signal."""
    theirs = os.dup(processes._unborn[handler.uid][0].fileno())
    with socket.socket(fileno=theirs) as end:
        channel = Channel(end)
        assert channel.receive() == []
        assert processes.adopt(handler, dead(0))
        [frame] = channel.receive()
        assert (frame.kind, frame.header) == (ControlFrame.SETUP, {"uid": 3})
        for fd in frame.fds:
            os.close(fd)
    processes.reap()
