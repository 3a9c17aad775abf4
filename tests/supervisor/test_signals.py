"""Test process: signals become bytes, and every byte is an action of the loop."""

from __future__ import annotations

import os
import selectors
import signal

import pytest

from tests.supervisor.histories import History, queue
from worker.supervisor import signals
from worker.supervisor.signals import Signals

pytestmark = pytest.mark.usefixtures("no_descriptor_left")


def test_signals_arrive_as_their_numbers_in_order_and_wake_a_selector():
    caught = Signals()
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(caught, selectors.EVENT_READ)
            assert selector.select(0) == []
            for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGUSR2):
                os.kill(os.getpid(), number)
            assert len(selector.select(10)) == 1
        assert list(caught.arrived()) == [signal.SIGHUP, signal.SIGTERM, signal.SIGUSR2]
        assert caught.arrived() == b""
    finally:
        caught.restore()


def test_restore_leaves_the_process_as_it_was():
    before = {number: signal.getsignal(number) for number in signal.Signals}
    Signals().restore()
    assert {number: signal.getsignal(number) for number in signal.Signals} == before
    assert signal.set_wakeup_fd(-1) == -1


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGWINCH, signal.SIGCHLD, signal.SIGALRM])
def test_signals_without_a_meaning_do_nothing(number: signal.Signals):
    history = History(queue())
    history.all_ready()
    history.did.clear()
    history.signal(number)
    assert history.did == []
    assert history.pool.state() == "running"


def test_quit_drains_as_term_does():
    history = History(queue())
    history.signal(signal.SIGQUIT)
    assert history.log.named("drain_started")[0]["reason"] == "SIGQUIT"


def test_a_flood_of_signals_loses_no_kind():
    caught = Signals()
    try:
        for _ in range(70_000):
            os.kill(os.getpid(), signal.SIGCONT)
        assert set(caught.arrived()) == {signal.SIGCONT}
    finally:
        caught.restore()


def test_every_signal_that_means_something_has_an_action_of_its_name():
    for number, action in signals._HANDLERS.items():
        short = number.name.removeprefix("SIG").lower()
        assert action.__name__ == f"handle_{'term' if short in ('int', 'quit') else short}"
