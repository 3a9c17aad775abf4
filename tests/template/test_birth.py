"""Test process: the two forks; see worker/template/birth.py. What goes right is in test_life."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable

import pytest

from worker import platform
from worker.template import birth

pytestmark = [
    pytest.mark.skipif(not platform.LINUX, reason="templates are for Linux only"),
    pytest.mark.usefixtures("no_descriptor_left"),
]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """The n-th fork finds the system without processes; who forks inherits the count."""
    fork, calls = os.fork, []

    def fail(number: int) -> None:
        def or_fail() -> int:
            calls.append(1)
            if len(calls) == number:
                raise OSError(errno.EAGAIN, "told to")
            return fork()

        monkeypatch.setattr(os, "fork", or_fail)

    return fail


@pytest.mark.parametrize("number", [1, 2])
def test_a_system_without_processes_is_an_error_and_leaves_nothing(failing: Callable[[int], None], number: int):
    """At either fork: no descriptor, no process, and the reason."""
    failing(number)
    with pytest.raises(BlockingIOError) as caught:
        birth.bear()
    assert caught.value.errno == errno.EAGAIN


def test_a_process_that_dies_before_it_can_say_who_it_is_is_an_error(monkeypatch: pytest.MonkeyPatch):
    """Nobody waits for its pid for ever."""
    monkeypatch.setattr(os, "setsid", lambda: os._exit(3))
    with pytest.raises(OSError, match="the new process died at once"):
        birth.bear()


def test_an_application_that_ignores_the_death_of_children_does_not_matter(monkeypatch: pytest.MonkeyPatch):
    """The kernel reaps the process between then; it is over all the same."""
    monkeypatch.setattr(os, "setsid", lambda: os._exit(0))
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with pytest.raises(OSError, match="died at once"):
            birth.bear()
    finally:
        signal.signal(signal.SIGCHLD, before)
