"""Test process: the real handler process, through its real sockets, signals and shared memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import eventually
from tests.handler.parts import parcel
from tests.handler.process import HandlerProcess
from worker.message import Kind
from worker.platform import LINUX
from worker.protocol import ControlFrame, StreamFrame
from worker.slots import ChildState, Written

pytestmark = pytest.mark.usefixtures("no_descriptor_left")


class Opened:
    """The handler processes of one test, and what they wrote."""

    def __init__(self) -> None:
        self.handlers: list[HandlerProcess] = []

    def __call__(self, **arguments: Any) -> HandlerProcess:
        handler = HandlerProcess(**arguments)
        self.handlers.append(handler)
        return handler

    def close(self, handler: HandlerProcess) -> tuple[str, str]:
        self.handlers.remove(handler)
        return handler.close()


@pytest.fixture
def launch() -> Iterator[Opened]:
    opened = Opened()
    yield opened
    for handler in opened.handlers:
        handler.close()


def stack_text(handler: HandlerProcess) -> str:
    return os.pread(handler.stacks, 65536, 0).decode()


def test_from_start_to_stop(launch: Opened) -> None:
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


def test_exit_hooks_of_user_code_run_at_a_stop(launch: Opened, tmp_path: Path) -> None:
    """A drained handler ends as any Python program does."""
    handler = launch().start()
    handler.acked(handler.do("at_exit", into=tmp_path / "hook"))
    handler.control.send(ControlFrame.STOP, None)
    assert handler.code() == 0
    assert (tmp_path / "hook").exists()


def test_a_supervisor_may_attach_before_ready(launch: Opened) -> None:
    """Frames wait in the control socket while the application is imported."""
    handler = launch()
    handler.set_up()
    handler.attach(link=3)
    handler.acked(handler.do("nothing"))
    assert handler.hear_control(ControlFrame.ATTACHED).header == {"link": 3}


def test_output_of_user_code_is_the_users(launch: Opened) -> None:
    """What is printed is on standard output and error, line by line, and disturbs no frame."""
    handler = launch().start()
    handler.acked(handler.do("show", text="seen \x00\xff"), handler.do("show", text="again"))
    assert os.read(handler.output, 1000) == ("seen \x00\xff\n" * 2 + "again\n" * 2).encode()
    output, errors = launch.close(handler)
    assert output == ""
    assert errors == "seen \x00\xff\nagain\n"


def test_a_megabyte_makes_the_way_there_and_back(launch: Opened) -> None:
    """The longest body SQS has."""
    handler = launch().start()
    handler.give(parcel(1, b'{"do":"reject_me","x":"' + b"x" * (1024 * 1024 - 25) + b'"}'))
    [told] = handler.hear(lambda said: said.others).others
    assert told.kind is Kind.RETRY
    assert told.reason == "KeyError: 'reject_me'"


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
def test_exit_in_user_code_is_a_death_and_not_an_ack(launch: Opened, arguments: dict[str, object], code: int) -> None:
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
    assert Written(seq, Kind.ACK, 0.0) not in handler.slot.outcomes()
    output, errors = launch.close(handler)
    assert output == "last words"
    assert '"event":"exit_called"' in errors
    assert f'"code":{code}' in errors


def test_exit_takes_the_links_back_from_the_stream_thread(launch: Opened, tmp_path: Path) -> None:
    """User code that exits after a long run is a death like any other: nothing hangs, nothing is told twice."""
    handler = launch().start()
    handler.give(parcel(901, b'{"do":"nothing"}'))
    seq = handler.do("leave", code=0, after=tmp_path / "end")
    handler.acked(901)  # told by the stream thread, which has the links now
    (tmp_path / "end").touch()
    assert handler.code() == 0
    assert handler.rest().acks == [901]
    assert [entry.seq for entry in handler.slot.running()] == [seq]


def test_an_exit_that_nobody_sees_is_a_death_too(launch: Opened) -> None:
    """os._exit(0) leaves the message named in the slot."""
    handler = launch().start()
    seq = handler.do("leave_at_once")
    assert handler.code() == 0
    assert handler.rest().acks == []
    assert [entry.seq for entry in handler.slot.running()] == [seq]


def test_a_forked_child_that_returns_ends_without_an_outcome(launch: Opened, tmp_path: Path) -> None:
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
    assert '"forked":true' in launch.close(handler)[1]


def test_a_forked_child_does_not_hide_its_parents_death(launch: Opened, tmp_path: Path) -> None:
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


def test_user_code_that_closes_every_descriptor_is_a_death(launch: Opened) -> None:
    """Nothing can be told any more: the process ends, and says why on standard error."""
    handler = launch().start()
    seq = handler.do("close_all")
    assert handler.code() == os.EX_SOFTWARE
    assert handler.rest().acks == []
    assert Written(seq, Kind.ACK, 0.0) in handler.slot.outcomes()
    assert "user code closed descriptors" in launch.close(handler)[1]


def test_descriptors_that_user_code_opens_under_our_numbers_stay_empty(launch: Opened, tmp_path: Path) -> None:
    """No frame and no log line of ours is written into a file of the user's."""
    handler = launch().start()
    handler.do("replace_all", into=tmp_path)
    assert handler.code() == os.EX_SOFTWARE
    assert len(list(tmp_path.iterdir())) == 20
    assert [file.name for file in tmp_path.iterdir() if file.stat().st_size] == []
    assert "user code closed descriptors" in launch.close(handler)[1]


def test_sub_processes_inherit_no_descriptor_of_ours(launch: Opened, tmp_path: Path) -> None:
    """Not even where user code asks for inheritance: all of ours are closed on exec."""
    handler = launch().start()
    handler.acked(handler.do("descriptors_of_a_child", into=tmp_path / "fds"))
    assert len((tmp_path / "fds").read_text().split()) == 1  # the listing's own


def test_signals_that_stop_a_process_do_not_stop_a_handler(launch: Opened, tmp_path: Path) -> None:
    """TERM, INT, HUP and job control change nothing, neither idle nor in user code; nor does USR1 between messages."""
    handler = launch().start()
    stray = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU]
    for number in (*stray, signal.SIGUSR1):
        handler.process.send_signal(number)
    handler.acked(handler.do("nothing"))
    seq = handler.do("wait", until=tmp_path / "end")
    eventually(lambda: handler.slot.running())
    for number in stray:
        handler.process.send_signal(number)
    (tmp_path / "end").touch()
    handler.acked(seq)


def test_user_code_can_terminate_its_own_processes(launch: Opened, tmp_path: Path) -> None:
    """What the handler ignores is not ignored by what user code starts, forks or execs."""
    handler = launch().start()
    handler.acked(handler.do("terminate_children", into=tmp_path / "codes"))
    assert (tmp_path / "codes").read_text() == "-15 -15"


def test_user_code_may_install_signal_handlers(launch: Opened, tmp_path: Path) -> None:
    """Its own handlers work, and stacks are still dumped."""
    handler = launch().start()
    handler.acked(handler.do("signals", into=tmp_path / "alarm"))
    handler.process.send_signal(signal.SIGUSR2)
    eventually(lambda: "Thread" in stack_text(handler))
    handler.acked(handler.do("nothing"))


def test_usr1_is_a_soft_timeout_for_an_overdue_message(launch: Opened, tmp_path: Path) -> None:
    """The handler function is interrupted once its deadline has passed, cleans up, and its outcome counts."""
    handler = launch(timeout=0.3).start()
    seq = handler.do("be_late", started=tmp_path / "started")
    eventually((tmp_path / "started").exists)
    handler.process.send_signal(signal.SIGUSR1)  # too early: nothing happens

    def told() -> object:
        handler.process.send_signal(signal.SIGUSR1)
        return handler.said.take(handler.pollers[-1].receive()).others

    eventually(told)
    [outcome] = handler.said.others
    assert (outcome.seq, outcome.kind, outcome.after, outcome.reason) == (seq, Kind.RETRY, 2.0, "cleaned up")
    running = [one.seq for one in handler.slot.running()]
    assert running == []
    handler.acked(handler.do("nothing"))


def test_usr2_dumps_stacks_while_c_code_holds_the_gil(launch: Opened, tmp_path: Path) -> None:
    """The hung-handler ladder gets its stack from a process in which no Python runs any more."""
    handler = launch().start()
    handler.do("hold_the_gil", started=tmp_path / "started")
    eventually((tmp_path / "started").exists)
    handler.process.send_signal(signal.SIGUSR2)
    eventually(lambda: "in hold_the_gil" in stack_text(handler))


def test_a_crash_in_c_code_leaves_its_stack(launch: Opened) -> None:
    """The stacks file tells where a handler died, and the slot on which message."""
    handler = launch().start()
    seq = handler.do("segfault")
    assert handler.code() == -signal.SIGSEGV
    assert "in segfault" in stack_text(handler)
    assert [entry.seq for entry in handler.slot.running()] == [seq]


def test_the_stream_thread_works_in_a_process(launch: Opened, tmp_path: Path) -> None:
    """While user code runs: its poller dies, the next one is greeted with what runs, and its LOST is seen."""
    handler = launch().start()
    seq = handler.do("wait_for_lost", started=tmp_path / "started")
    eventually((tmp_path / "started").exists)
    handler.pollers[-1].close()
    handler.attach(link=2)
    said = handler.hear(lambda said: said.hellos)
    assert said.hellos == [{"running": [seq], "unstarted": []}]
    assert handler.hear_control(ControlFrame.ATTACHED).header == {"link": 2}
    handler.pollers[-1].send(StreamFrame.LOST, [seq])
    [outcome] = handler.hear(lambda said: said.others).others
    assert outcome.reason == "lost"


@pytest.mark.parametrize("running", [False, True])
def test_a_handler_ends_with_its_supervisor(launch: Opened, tmp_path: Path, *, running: bool) -> None:
    """At the end of the control socket nothing goes on, idle or in user code."""
    handler = launch().start()
    if running:
        handler.do("wait", until=tmp_path / "never")
        eventually(lambda: handler.slot.running())
    handler.control.close()
    assert handler.code() == os.EX_TEMPFAIL
    assert handler.rest().acks == []


@pytest.mark.skipif(not LINUX, reason="only Linux tells a child of its parent's death")
def test_a_handler_whose_supervisor_is_another_one_does_not_start(launch: Opened) -> None:
    """The supervisor died between starting it and its first look: nobody would ever end it."""
    handler = launch()
    handler.set_up(parent=1)
    assert handler.code() == os.EX_TEMPFAIL


def test_a_failing_import_is_told_and_ends_with_78(launch: Opened) -> None:
    """FAILED has the reason in one line; the traceback is in the log."""
    handler = launch(handler="tests.handler.no_such_module:handle")
    handler.set_up()
    reason = handler.hear_control(ControlFrame.FAILED).header["reason"]
    assert reason.startswith(
        "cannot import 'tests.handler.no_such_module:handle': "
        "ModuleNotFoundError: No module named 'tests.handler.no_such_module' (looked in /"
    )
    assert handler.code() == os.EX_CONFIG
    assert "ModuleNotFoundError" in launch.close(handler)[1]


def test_another_protocol_is_refused(launch: Opened) -> None:
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
    command = [sys.executable, "-X", "importtime", "-m", "worker.handler"]
    listing = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    modules = {line.rsplit("|", 1)[-1].strip() for line in listing.splitlines() if line.startswith("import time:")}
    assert "worker.handler.loop" in modules
    heavy = {"boto3", "botocore", "asyncio", "threading", "logging", "multiprocessing", "subprocess", "rich", "http"}
    ours = {"worker.aws", "worker.poller", "worker.supervisor", "worker.config", "worker.cli", "worker.policy"}
    assert modules & (heavy | ours) == set()


@pytest.mark.skipif(not LINUX, reason="only Linux tells what a process has for itself")
def test_a_handler_without_an_application_is_small(launch: Opened) -> None:
    """15 MB of its own, so that a spare costs little."""
    handler = launch(handler="builtins:print").start()
    assert psutil.Process(handler.process.pid).memory_full_info().uss < 15_000_000


def voluntary_switches(pid: int) -> int:
    """How often the threads of a process have gone to sleep: wake-ups, counted from the other side."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for line in (thread / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                total += int(line.split()[1])
    return total


@pytest.mark.skipif(not LINUX, reason="counts wake-ups in /proc")
def test_an_idle_handler_sleeps(launch: Opened) -> None:
    """After its work neither thread wakes up until something comes."""
    handler = launch().start()
    handler.acked(handler.do("nothing"))
    history: list[int] = []

    def still() -> bool:
        history.append(voluntary_switches(handler.process.pid))
        return len(history) > 200 and len(set(history[-200:])) == 1

    eventually(still)
    handler.acked(handler.do("nothing"))
