"""Test process: what children are told at their start, and what follows when none can be started."""

from __future__ import annotations

import itertools

from tests.supervisor.histories import START, History, queue
from worker import settings
from worker.channel import PROTOCOL


def test_setup_of_a_handler_names_its_queue_its_number_its_uid_and_its_parent():
    history = History(queue(handlers=1, spares=0))
    handler = history.handler(0)
    assert history.row(handler).setup == {
        "settings": settings.to_json(history.settings),
        "queue": "orders",
        "number": 0,
        "uid": handler.uid,
        "parent": 4242,
        "protocol": PROTOCOL,
        "concurrency": 1,
    }


def test_setup_of_a_first_poller_expects_nobody():
    history = History(queue(handlers=1))
    assert history.row(history.poller()).setup == {
        "settings": settings.to_json(history.settings),
        "queue": "orders",
        "number": 0,
        "epoch": 1,
        "parent": 4242,
        "protocol": PROTOCOL,
        "handlers_expected": [],
    }


def test_setup_of_a_successor_expects_the_living_handlers_of_its_number_only():
    history = History(queue(handlers=4, pollers=2, spares=1))
    history.all_ready()
    history.die(history.poller(1), by=9)
    expected = [history.handler(number).uid for number in (1, 3)]
    assert history.row(history.poller(1)).setup["handlers_expected"] == expected


def test_epochs_and_uids_rise_with_every_start():
    history = History(queue(handlers=1))
    history.all_ready()
    seen = []
    for _ in range(5):
        history.die(history.poller(), history.handlers("serving")[0], by=9)
        history.all_ready()
        seen.append((history.poller().epoch, max(h.uid for h in history.handlers())))
    assert seen == sorted(set(seen))
    assert history.poller().epoch == 6


def test_a_spawn_that_fails_is_tried_again_with_backoff_and_never_ends_the_pool():
    history = History(queue(handlers=1, spares=0))
    history.all_ready()
    history.table.spawn_problem = "[Errno 11] Resource temporarily unavailable"
    history.die(history.handler(0), by=9)
    history.after(600)
    tries = [at - START for at in history.table.spawned_at][2:]
    assert 25 < len(tries) < 45
    gaps = [round(later - earlier, 3) for earlier, later in itertools.pairwise(tries)]
    assert gaps[:4] == [0.075, 0.15, 0.3, 0.6]
    assert max(gaps) <= 30
    assert history.pool.exit_code is None
    assert history.set().state == "running"
    assert len(history.log.named("spawn_failed")) == len(tries)
    history.table.spawn_problem = ""
    history.after(31)
    assert len(history.handlers("starting")) == 1


def test_one_failed_spawn_ends_the_attempts_of_that_turn():
    history = History(queue(handlers=1, spares=0))
    history.all_ready()
    history.table.spawn_problem = "no memory"
    before = len(history.table.spawned_at)
    history.ask('{"verb":"scale","queue":"orders","handlers":50}')
    assert len(history.table.spawned_at) == before + 1


def test_a_poller_that_starts_while_the_pool_is_paused_is_told_at_once():
    history = History(queue(handlers=1))
    history.all_ready()
    history.ask('{"verb":"pause"}')
    history.die(history.poller(), by=9)
    assert history.row(history.poller()).sent[0] == ("PAUSE", None)
