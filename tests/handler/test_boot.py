"""Test process: a handler gets ready, or says why not; see worker/handler/boot.py."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import psutil
import pytest

from tests.conftest import eventually
from tests.handler.conftest import Launch
from worker.message import Kind
from worker.platform import LINUX
from worker.protocol import ControlFrame
from worker.slots import ChildState

pytestmark = pytest.mark.usefixtures("no_descriptor_left")


def test_from_start_to_stop(launch: Launch) -> None:
    """READY, ATTACHED, hello, an ack, a forward; STOP ends it with 0, after user code's exit hooks."""
    handler = launch().start()
    assert handler.slot.look().pid == handler.process.pid
    assert handler.slot.look().resident > 1_000_000
    handler.acked(handler.do("nothing"))
    seq = handler.do("forward")
    [told] = handler.hear(lambda said: said.others).others
    assert (told.seq, told.kind, told.queue, told.body) == (seq, Kind.FORWARD, "events", b"id-2")
    eventually(lambda: handler.slot.look().state is ChildState.READY)
    assert handler.slot.look().done == 2
    handler.control.send(ControlFrame.STOP, None)
    assert handler.code() == 0


def test_a_supervisor_may_attach_before_ready(launch: Launch) -> None:
    """Frames wait in the control socket while the application is imported."""
    handler = launch()
    handler.set_up()
    handler.attach(link=3)
    handler.acked(handler.do("nothing"))
    assert handler.hear_control(ControlFrame.ATTACHED).header == {"link": 3}


def test_a_handler_whose_supervisor_died_meanwhile_does_not_start(launch: Launch) -> None:
    """It died between starting the handler and the handler's first look at it: the kernel would never end this one."""
    handler = launch()
    handler.set_up(parent=1)
    if LINUX:
        assert handler.code() == os.EX_TEMPFAIL
    else:  # without PDEATHSIG there is nothing to miss: the end of the control socket ends it
        handler.hear_control(ControlFrame.READY)


def test_a_failing_import_is_told_and_ends_with_78(launch: Launch) -> None:
    """FAILED has the reason in one line; the traceback is in the log."""
    handler = launch(handler="tests.handler.no_such_module:handle")
    handler.set_up()
    reason = handler.hear_control(ControlFrame.FAILED).header["reason"]
    assert reason.startswith(
        "cannot import 'tests.handler.no_such_module:handle': "
        "ModuleNotFoundError: No module named 'tests.handler.no_such_module' (looked in /"
    )
    assert handler.code() == os.EX_CONFIG
    assert "ModuleNotFoundError" in handler.close()[1]


def test_another_protocol_is_refused(launch: Launch) -> None:
    """A supervisor of another release must not talk to this handler."""
    handler = launch()
    handler.set_up(protocol=99)
    assert "protocol 1, its supervisor 99" in handler.hear_control(ControlFrame.FAILED).header["reason"]
    assert handler.code() == os.EX_CONFIG


def test_it_is_not_for_users_to_start() -> None:
    """By hand it explains itself."""
    done = subprocess.run([sys.executable, "-m", "worker.handler"], capture_output=True, text=True, check=False)
    assert done.returncode == os.EX_USAGE
    assert "worker run" in done.stderr


def test_a_handler_imports_nothing_heavy() -> None:
    """No AWS client, no event loop, no third party but orjson: a spare is cheap, and a replacement is quick."""
    ours, theirs = socket.socketpair()
    with theirs:
        ours.close()  # it imports all that it needs, and finds its supervisor gone
        fd = theirs.fileno()
        command = [sys.executable, "-X", "importtime", "-m", "worker.handler", str(fd), str(os.getpid())]
        listing = subprocess.run(command, capture_output=True, text=True, check=False, pass_fds=(fd,)).stderr
    modules = {line.rsplit("|", 1)[-1].strip() for line in listing.splitlines() if line.startswith("import time:")}
    assert "worker.handler.loop" in modules
    heavy = {"boto3", "botocore", "asyncio", "threading", "logging", "multiprocessing", "subprocess", "rich", "http"}
    other = {"worker.aws", "worker.poller", "worker.supervisor", "worker.config", "worker.cli", "worker.policy"}
    assert modules & (heavy | other) == set()


def test_a_handler_without_an_application_is_small(launch: Launch) -> None:
    """15 MB of its own, so that a spare costs little."""
    handler = launch(handler="builtins:print").start()
    assert psutil.Process(handler.process.pid).memory_full_info().uss < 15_000_000
