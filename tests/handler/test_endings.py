"""Test process: no end of a handler process is taken for an ack; see worker/handler/endings.py."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.conftest import eventually
from tests.handler.conftest import Launch
from tests.handler.parts import parcel
from worker.message import Kind
from worker.protocol import ControlFrame
from worker.slots import Written

pytestmark = pytest.mark.usefixtures("no_descriptor_left")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"code": 0}, 0),
        ({"code": None}, 0),
        ({"code": 3}, 3),
        ({"code": -1}, 255),
        ({"code": "a text"}, 1),
        ({"code": None, "interrupt": True}, 130),
    ],
)
def test_exit_in_user_code_is_a_death_and_not_an_ack(launch: Launch, arguments: dict[str, object], code: int) -> None:
    """The message stays named in the slot and has no outcome; finished neighbours are told; print() is flushed."""
    handler = launch().start()
    body = b'{"do":"nothing"}'
    handler.give(parcel(901, body), parcel(902, body))
    seq = handler.do("leave", **arguments)
    assert handler.code() == code
    said = handler.rest()
    assert said.acks == [901, 902]
    assert said.others == []
    assert [entry.seq for entry in handler.slot.running()] == [seq]
    assert Written(seq, Kind.ACK, 0.0, 1) not in handler.slot.outcomes()
    output, errors = handler.close()
    assert output == "last words"
    assert '"event":"exit_called"' in errors
    assert f'"code":{code}' in errors


def test_exit_takes_the_links_back_from_the_stream_thread(launch: Launch, tmp_path: Path) -> None:
    """User code that exits after a long run is a death like any other: nothing hangs, nothing is told twice."""
    handler = launch().start()
    handler.give(parcel(901, b'{"do":"nothing"}'))
    seq = handler.do("leave", code=0, after=tmp_path / "end")
    handler.acked(901)  # told by the stream thread, which has the links now
    (tmp_path / "end").touch()
    assert handler.code() == 0
    assert handler.rest().acks == [901]
    assert [entry.seq for entry in handler.slot.running()] == [seq]


def test_an_exit_that_nobody_sees_is_a_death_too(launch: Launch) -> None:
    """os._exit(0) leaves the message named in the slot."""
    handler = launch().start()
    seq = handler.do("leave_at_once")
    assert handler.code() == 0
    assert handler.rest().acks == []
    assert [entry.seq for entry in handler.slot.running()] == [seq]


def test_a_crash_in_c_code_leaves_its_stack(launch: Launch) -> None:
    """The stacks file tells where a handler died, and the slot on which message."""
    handler = launch().start()
    seq = handler.do("segfault")
    assert handler.code() == -signal.SIGSEGV
    assert "in segfault" in handler.stack_text()
    assert [entry.seq for entry in handler.slot.running()] == [seq]


def test_a_forked_child_that_returns_ends_without_an_outcome(launch: Launch, tmp_path: Path) -> None:
    """The parent's message has one outcome, and the child's exit code says whether it raised."""
    handler = launch().start()
    handler.acked(handler.do("fork", child=tmp_path / "code"))
    assert (tmp_path / "code").read_text() == "0"
    handler.acked(handler.do("fork", child=tmp_path / "failed", fail=True))
    assert (tmp_path / "failed").read_text() == "1"
    handler.control.send(ControlFrame.STOP, None)
    assert handler.code() == 0
    said = handler.rest()
    assert said.acks == [1, 2]
    assert said.others == []
    assert '"forked":true' in handler.close()[1]


def test_a_forked_child_does_not_hide_its_parents_death(launch: Launch, tmp_path: Path) -> None:
    """The stream ends with the handler, though a process that user code forked lives on."""
    handler = launch().start()
    handler.do("fork_and_stay", child=tmp_path / "pid", until=tmp_path / "end")
    eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    child = psutil.Process(int((tmp_path / "pid").read_text()))
    try:
        handler.process.kill()
        handler.rest()
        assert child.is_running()
    finally:
        (tmp_path / "end").touch()
        eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_user_code_that_closes_every_descriptor_is_a_death(launch: Launch) -> None:
    """Nothing can be told any more: the process ends, and says why on standard error."""
    handler = launch().start()
    seq = handler.do("close_all")
    assert handler.code() == os.EX_SOFTWARE
    assert handler.rest().acks == []
    assert Written(seq, Kind.ACK, 0.0, 1) in handler.slot.outcomes()
    assert "user code closed descriptors" in handler.close()[1]


def test_descriptors_that_user_code_opens_under_our_numbers_stay_empty(launch: Launch, tmp_path: Path) -> None:
    """No frame and no log line of ours is written into a file of the user's."""
    handler = launch().start()
    handler.do("replace_all", into=tmp_path)
    assert handler.code() == os.EX_SOFTWARE
    assert len(list(tmp_path.iterdir())) == 20
    assert [file.name for file in tmp_path.iterdir() if file.stat().st_size] == []
    assert "user code closed descriptors" in handler.close()[1]


@pytest.mark.parametrize("running", [False, True])
def test_a_handler_ends_with_its_supervisor(launch: Launch, tmp_path: Path, *, running: bool) -> None:
    """At the end of the control socket nothing goes on, idle or in user code."""
    handler = launch().start()
    if running:
        handler.do("wait", until=tmp_path / "never")
        eventually(lambda: handler.slot.running())
    handler.control.close()
    assert handler.code() == os.EX_TEMPFAIL
    assert handler.rest().acks == []
