"""Test process: SIGUSR1 hits the overdue message and nothing else; see worker/handler/signals.py."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.conftest import eventually
from tests.handler.conftest import Launch
from worker.handler.signals import Alarm
from worker.message import Kind, Message, SoftTimeout

pytestmark = pytest.mark.usefixtures("no_descriptor_left")


def message(deadline: float) -> Message:
    return Message(id="m", body=b"", queue="q", deadline=deadline, clock=lambda: 100.0)


def test_the_alarm_goes_off_once_for_an_overdue_message() -> None:
    """One SoftTimeout a message, at its deadline or later: cleaning up is not interrupted again."""
    for deadline in (100.0, 50.0):
        alarm = Alarm()
        alarm.message = message(deadline)
        with pytest.raises(SoftTimeout):
            alarm.go_off(10, None)
        alarm.go_off(10, None)


def test_the_alarm_is_silent_before_the_deadline() -> None:
    """The overdue message may have ended before the signal came: the one after it must not pay for it."""
    alarm = Alarm()
    alarm.message = message(100.1)
    alarm.go_off(10, None)


def test_the_alarm_is_silent_between_messages() -> None:
    """No user code runs: nothing may be raised into our loop."""
    Alarm().go_off(10, None)


def test_signals_that_stop_a_process_do_not_stop_a_handler(launch: Launch, tmp_path: Path) -> None:
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


def test_user_code_can_terminate_its_own_processes(launch: Launch, tmp_path: Path) -> None:
    """What the handler ignores is not ignored by what user code starts, forks or execs."""
    handler = launch().start()
    handler.acked(handler.do("terminate_children", into=tmp_path / "codes"))
    assert (tmp_path / "codes").read_text() == "-15 -15"


def test_user_code_may_install_signal_handlers(launch: Launch, tmp_path: Path) -> None:
    """Its own handlers work, and stacks are still dumped."""
    handler = launch().start()
    handler.acked(handler.do("signals", into=tmp_path / "alarm"))
    handler.process.send_signal(signal.SIGUSR2)
    eventually(lambda: "Thread" in handler.stack_text())
    handler.acked(handler.do("nothing"))


def test_usr1_is_a_soft_timeout_for_an_overdue_message(launch: Launch, tmp_path: Path) -> None:
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


def test_usr2_dumps_stacks_while_c_code_holds_the_gil(launch: Launch, tmp_path: Path) -> None:
    """The hung-handler ladder gets its stack from a process in which no Python runs any more."""
    handler = launch().start()
    handler.do("hold_the_gil", started=tmp_path / "started")
    eventually((tmp_path / "started").exists)
    handler.process.send_signal(signal.SIGUSR2)
    eventually(lambda: "in hold_the_gil" in handler.stack_text())
