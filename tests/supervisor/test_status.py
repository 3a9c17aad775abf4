"""Test process: what the supervisor shows of the pool."""

from __future__ import annotations

import signal

from tests.supervisor.histories import History, queue, running
from worker import __version__
from worker.telemetry import COUNTERS


def test_status_of_a_pool_that_runs():
    history = History(queue(handlers=1, spares=1))
    history.all_ready()
    handler = history.handler(0)
    running(history, handler, seq=9, deadline=history.now + 60)
    history.row(handler).done = 3
    history.row(history.poller()).counters = {"received": 5}
    history.after(2)
    status = history.ask('{"verb":"status"}')
    orders = status["queues"].pop("orders")
    assert status == {
        "ok": True,
        "name": "shop",
        "pid": 4242,
        "state": "running",
        "since": 2.0,
        "uptime": 2.0,
        "version": __version__,
        "until_empty": False,
        "queues": {},
    }
    assert orders.pop("counters") == {**dict.fromkeys(COUNTERS, 0), "received": 5}
    assert orders.pop("pollers") == [
        {
            "number": 0,
            "pid": history.poller().pid,
            "epoch": 1,
            "generation": 1,
            "state": "running",
            "progress_age": 0.0,
            "receive_age": 0.0,
            "trouble": "",
            "trouble_age": 0.0,
            "awaits": "",
            "limit": "",
            "per_second": 0.0,
            "cpu": 0.0,
            "receive_seconds": 0.0,
            "settle_seconds": 0.0,
            "restarts": 0,
        }
    ]
    first, spare = orders.pop("handlers")
    assert first == {
        "number": 0,
        "uid": handler.uid,
        "pid": handler.pid,
        "generation": 1,
        "state": "busy",
        "done": 3,
        "failed": 0,
        "places": 1,
        "busy_seconds": 1.5,
        "resident_bytes": 1 << 20,
        "running": [{"seq": 9, "seconds": 2.0}],
        "restarts": 0,
    }
    assert (spare["number"], spare["state"]) == (1, "spare")
    assert orders == {"state": "running", "reason": "", "handlers_wanted": 1, "templates": []}


def test_since_is_the_age_of_the_state_and_uptime_that_of_the_pool():
    history = History(queue())
    history.after(3)
    history.all_ready()
    history.after(4)
    status = history.ask('{"verb":"status"}')
    assert (status["state"], status["since"], status["uptime"]) == ("running", 4.0, 7.0)


def test_restarts_are_counted_by_place_and_ends_that_we_caused_are_not():
    history = History(queue(handlers=3))
    history.all_ready()
    history.die(history.handler(1), by=9)
    history.die(history.handler(1), by=9)
    history.die(history.poller(), by=9)
    history.ask('{"verb":"scale","queue":"orders","handlers":2}')
    queue_status = history.ask('{"verb":"status"}')["queues"]["orders"]
    assert {h["number"]: h["restarts"] for h in queue_status["handlers"] if h["number"] < 2} == {0: 0, 1: 2}
    assert queue_status["pollers"][0]["restarts"] == 1


def test_a_queue_in_two_generations_shows_the_processes_of_both_and_the_state_of_the_working_one():
    history = History(queue(handlers=1, spares=0))
    history.all_ready()
    history.signal(signal.SIGHUP)
    shown = history.ask('{"verb":"status"}')
    assert shown["state"] == "reloading"
    assert shown["queues"]["orders"]["state"] == "running"
    assert [h["generation"] for h in shown["queues"]["orders"]["handlers"]] == [1, 2]
    history.all_ready()
    history.turn()
    shown = history.ask('{"verb":"status"}')["queues"]["orders"]
    assert shown["state"] == "running"
    assert [h["state"] for h in shown["handlers"]] == ["draining", "ready"]


def test_a_handler_that_leaves_is_shown_as_draining():
    history = History(queue(handlers=2, spares=0))
    history.all_ready()
    history.ask('{"verb":"scale","queue":"orders","handlers":1}')
    handlers = history.ask('{"verb":"status"}')["queues"]["orders"]["handlers"]
    assert [h["state"] for h in handlers] == ["ready", "draining"]


def test_counters_go_on_over_generations():
    history = History(queue(handlers=1))
    history.all_ready()
    old = history.poller()
    history.row(old).counters = {"received": 10, "running": 4}
    history.signal(signal.SIGHUP)
    history.all_ready()
    history.turn()
    history.drained(old)
    history.stop_obeyed()
    history.row(history.poller()).counters = {"received": 5}
    counters = history.ask('{"verb":"status"}')["queues"]["orders"]["counters"]
    assert (counters["received"], counters["running"]) == (15, 0)


def test_usr1_writes_the_state_of_everybody_and_the_stacks_to_the_log():
    history = History(queue(handlers=2, spares=1))
    history.all_ready()
    history.signal(signal.SIGUSR1)
    history.row(history.poller()).stacks = "Thread 0x1"
    assert len(history.log.named("status_dumped")) == 1 + 1 + 4
    assert history.log.named("stack_dumped") == []
    history.after(0.4)
    dumped = history.log.named("stack_dumped")
    assert len(dumped) == 4
    assert dumped[0]["text"] == "Thread 0x1"
