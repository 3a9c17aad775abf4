"""Test process: SIGUSR1 hits the overdue message and nothing else; see worker/handler/signals.py."""

from __future__ import annotations

import pytest

from worker.handler.signals import Alarm
from worker.message import Message, SoftTimeout


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
