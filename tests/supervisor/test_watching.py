"""Test process: who makes no progress is killed, and whose fault it is not is left alone."""

from __future__ import annotations

import pytest

from tests.supervisor.histories import START, History, queue
from worker.slots import ChildState, PollerFacts
from worker.supervisor import frames
from worker.telemetry import COUNTERS


def booted(**keys: object) -> History:
    history = History(queue(**keys))
    history.all_ready()
    history.did.clear()
    return history


def test_a_poller_without_progress_for_a_third_of_the_visibility_timeout_is_replaced():
    history = booted(visibility_timeout=60.0)
    stuck = history.poller()
    history.row(stuck).progress = history.now
    history.after(20)
    assert not history.row(stuck).killed
    history.after(5.1)
    assert history.row(stuck).killed
    history.reap_killed()
    assert history.poller().epoch == 2
    assert "no progress" in history.log.named("poller_stuck")[0]["reason"]


def test_a_short_visibility_timeout_is_watched_more_often():
    history = booted(visibility_timeout=2.0)
    stuck = history.poller()
    history.row(stuck).progress = history.now
    history.after(0.66)
    assert not history.row(stuck).killed
    history.after(0.3)
    assert history.row(stuck).killed


def test_a_poller_without_a_completed_receive_for_three_waits_is_replaced():
    history = booted(wait=10.0)
    stuck = history.poller()
    history.row(stuck).received_at = history.now
    history.after(44)
    assert not history.row(stuck).killed
    history.after(7)
    assert history.row(stuck).killed


def test_a_paused_poller_need_not_receive_and_gets_its_time_again_when_it_resumes():
    history = booted(wait=10.0)
    poller = history.poller()
    history.ask('{"verb":"pause"}')
    history.row(poller).received_at = history.now
    history.after(600)
    assert not history.row(poller).killed
    history.ask('{"verb":"resume"}')
    history.after(44)
    assert not history.row(poller).killed
    history.after(7)
    assert history.row(poller).killed


def test_a_poller_that_boots_is_not_judged_because_aws_may_be_down():
    history = History(queue())
    history.row(history.poller()).progress = 0.0
    history.after(1000)
    assert not history.row(history.poller()).killed
    assert history.pool.exit_code is None


def test_after_the_machine_was_suspended_nobody_is_blamed_at_once():
    history = booted(visibility_timeout=60.0)
    poller = history.poller()
    history.row(poller).progress = history.row(poller).received_at = history.now
    history.table.now += 3600
    history.turn()
    assert not history.row(poller).killed
    history.after(26)
    assert history.row(poller).killed


def test_a_draining_poller_need_not_receive_but_must_move():
    history = History(queue(wait=1.0, visibility_timeout=60.0), drain_timeout=200.0)
    history.all_ready()
    poller = history.poller()
    history.row(poller).received_at = history.now
    history.ask('{"verb":"drain"}')
    history.after(60)
    assert not history.row(poller).killed
    history.row(poller).progress = history.now
    history.after(26)
    assert history.row(poller).killed


def test_a_child_that_lives_on_without_its_control_socket_is_killed():
    history = booted(handlers=1)
    handler = history.handler(0)
    frames.ended(handler, now=history.now)
    history.turn()
    history.after(1.9)
    assert not history.row(handler).killed
    history.after(0.2)
    assert history.row(handler).killed


def test_a_poller_whose_slot_could_not_be_read_is_not_judged(monkeypatch: pytest.MonkeyPatch):
    history = booted()
    nothing = PollerFacts(0, ChildState.STARTING, 0.0, 0.0, 0.0, dict.fromkeys(COUNTERS, 0))
    monkeypatch.setattr(history.table, "poller_facts", lambda _: nothing)
    history.after(600)
    assert not history.row(history.poller()).killed


def test_a_slow_start_is_reported_once_and_left_alone():
    history = History(queue(handlers=1, spares=0))
    history.ready(history.poller())
    history.after(200)
    assert len(history.log.named("child_slow")) == 1
    assert history.handlers("starting") != []


def test_a_process_that_cannot_be_killed_loses_its_place_to_a_spare():
    history = booted(handlers=1, spares=1)
    stuck, spare = history.handler(0), history.handlers("spare")[0]
    frames.broken(history.pool, stuck, "nonsense", now=history.now)
    history.turn()
    history.after(9)
    assert spare.phase == "spare"
    history.after(7)
    assert (spare.phase, spare.number) == ("serving", 0)
    assert len(history.log.named("child_unkillable")) == 1
    assert not history.row(stuck).buried


def test_a_killed_child_is_killed_once():
    history = booted(visibility_timeout=2.0)
    history.row(history.poller()).progress = START
    history.after(5)
    assert history.did.count("kill poller 0") == 1
