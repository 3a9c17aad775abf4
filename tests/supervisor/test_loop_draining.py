"""Test process: the real supervisor drains real processes, and is out in time whatever they do."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.conftest import eventually
from tests.supervisor.real import real_pool, stand_in

pytestmark = pytest.mark.system

TERM, HUP = signal.SIGTERM, signal.SIGHUP


def test_what_still_runs_at_the_end_of_the_budget_is_killed_and_told(tmp_path: Path):
    with real_pool(tmp_path, stand_in(handler="busy", handlers=1, spares=0), drain_timeout=2.5) as pool:
        pool.until("attached")
        pool.running()
        pool.signal(TERM)
        assert pool.code() == 0
        (died,) = pool.events("died")
        assert (died["caused"], died["signal"]) == (True, 9)
        assert pool.logged("drain_finished")[0]["seconds"] < 2.5


def test_a_second_term_hurries(tmp_path: Path):
    with real_pool(tmp_path, stand_in(handler="busy", handlers=1, spares=0), drain_timeout=60.0) as pool:
        pool.until("attached")
        pool.running()
        pool.signal(TERM)
        pool.until("drain")
        eventually(lambda: pool.ask(verb="status")["since"] > 0.3)
        pool.signal(TERM)
        assert pool.code() == 0
        assert pool.logged("drain_finished")[0]["seconds"] < 10


def test_a_poller_that_never_answers_is_killed_in_time_and_the_code_is_75(tmp_path: Path):
    with real_pool(tmp_path, stand_in(poller="silent_drain", handlers=1), drain_timeout=1.5) as pool:
        pool.running()
        pool.signal(TERM)
        assert pool.code() == 75
        assert pool.logged("drain_finished")[0]["seconds"] <= 1.55


def test_a_poller_that_dies_while_it_drains_has_a_successor(tmp_path: Path):
    with real_pool(tmp_path, stand_in(poller="crash_on_drain", handlers=1), drain_timeout=10.0) as pool:
        pool.running()
        pool.signal(TERM)
        assert pool.code() == 0
        assert len(pool.events("drain")) == 2


def test_term_while_everything_boots(tmp_path: Path):
    with real_pool(tmp_path, stand_in(handler="slow", handlers=3)) as pool:
        pool.until("handler_started", count=4)
        pool.signal(TERM)
        pool.signal(HUP)
        assert pool.code() == 0
        assert pool.logged("drain_finished")[0]["seconds"] < 4
