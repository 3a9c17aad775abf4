"""Test process: what children say, and that nothing they say can hurt the supervisor."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.supervisor.histories import History, queue
from worker.channel import PROTOCOL
from worker.protocol import ControlFrame, StreamFrame

anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(["protocol", "link", "handler", "seq", "unconfirmed", "reason", "resolved"])


def test_a_child_of_another_protocol_is_refused_and_counts_as_a_failed_boot():
    history = History(queue(handlers=1, spares=0))
    history.ready(history.poller())
    child = history.handler(0)
    history.says(child, ControlFrame.READY, {"protocol": PROTOCOL + 1})
    assert history.row(child).killed
    assert child.phase == "starting"
    assert "restart the pool" in child.failure


@pytest.mark.parametrize(
    ("kind", "header"),
    [
        (ControlFrame.READY, None),
        (ControlFrame.READY, []),
        (ControlFrame.ATTACHED, {"link": "x"}),
        (ControlFrame.DETACHED, {"handler": []}),
        (ControlFrame.OVERDUE, {"handler": 3}),
        (ControlFrame.DRAINED, {}),
        (ControlFrame.FAILED, 3),
        (ControlFrame.SETUP, {}),
        (StreamFrame.HELLO, {}),
        (250, {}),
    ],
)
def test_a_frame_that_makes_no_sense_costs_its_sender(kind: ControlFrame, header: object):
    history = History(queue(handlers=1))
    history.all_ready()
    handler = history.handler(0)
    history.says(handler, kind, header)
    assert history.row(handler).killed
    assert len(history.log.named("child_broken")) == 1
    history.reap_killed()
    assert len(history.handlers("serving")) == 1


@given(kind=st.sampled_from(ControlFrame) | st.integers(0, 255), header=anything | st.dictionaries(names, anything))
def test_no_frame_raises(kind: int, header: object):
    history = History(queue(handlers=1))
    history.all_ready()
    history.says(history.handler(0), kind, header)  # type: ignore[arg-type]
    history.says(history.poller(), kind, header)  # type: ignore[arg-type]
    history.reap_killed()
    assert history.pool.exit_code is None


def test_only_a_poller_drains():
    history = History(queue(handlers=1))
    history.all_ready()
    handler = history.handler(0)
    history.says(handler, ControlFrame.DRAINED, {"unconfirmed": 0})
    assert history.row(handler).killed
    assert history.set().unconfirmed == {}


def test_attached_is_passed_on_with_its_sender():
    history = History(queue(handlers=1))
    history.all_ready()
    history.did.clear()
    history.says(history.handler(0), ControlFrame.ATTACHED, {"link": 1})
    assert history.did == [f"attached 1 handler #{history.handler(0).uid}"]


def test_detached_about_a_handler_that_stays_changes_nothing():
    history = History(queue(handlers=1))
    history.all_ready()
    history.did.clear()
    history.says(history.poller(), ControlFrame.DETACHED, {"handler": history.handler(0).uid})
    assert history.did == []


def test_a_child_that_failed_and_does_not_exit_is_killed():
    history = History(queue())
    history.ready(*history.handlers())
    poller = history.poller()
    history.says(poller, ControlFrame.FAILED, {"reason": "no queue of that name"})
    history.after(2.1)
    assert history.row(poller).killed
    history.reap_killed()
    assert history.log.named("config_rejected")[0]["reason"] == "no queue of that name"
