"""Test process: a set gets what it lacks: pollers, handlers in places, streams, spares."""

from __future__ import annotations

from tests.supervisor.histories import History, queue
from worker.channel import PROTOCOL
from worker.protocol import ControlFrame


def test_a_new_pool_starts_pollers_handlers_and_spares_and_links_nobody_yet():
    history = History(queue(handlers=2, pollers=2, spares=1))
    assert history.did == [
        "spawn poller 0",
        "spawn poller 1",
        "spawn handler #4",
        "spawn handler #5",
        "spawn handler #6",
    ]


def test_a_handler_that_gets_ready_takes_its_place_and_is_linked_though_its_poller_still_boots():
    history = History(queue(handlers=2))
    handler = history.handler(1)
    history.did.clear()
    history.ready(handler)
    assert history.did[-1] == f"link poller 0 handler #{handler.uid}"
    assert (handler.phase, handler.number) == ("serving", 1)


def test_handlers_belong_to_the_poller_of_their_number_modulo_pollers():
    history = History(queue(handlers=5, pollers=2))
    history.all_ready()
    pairs = {(poller.number, handler.number) for poller, handler in history.table.links.values()}
    assert pairs == {(0, 0), (1, 1), (0, 2), (1, 3), (0, 4)}


def test_whoever_is_ready_first_gets_a_place_and_the_late_one_becomes_the_spare():
    history = History(queue(handlers=2, spares=1))
    slow, *quick = history.handlers()
    history.ready(*quick)
    assert [(h.number, h.phase) for h in quick] == [(1, "serving"), (0, "serving")]
    assert (slow.number, slow.phase) == (2, "starting")
    history.ready(slow)
    assert slow.phase == "spare"


def test_a_spare_holds_nothing_and_has_no_stream():
    history = History(queue(handlers=1, spares=2))
    history.all_ready()
    spares = history.handlers("spare")
    assert len(spares) == 2
    assert all(spare.poller is None for spare in spares)
    assert len(history.table.links) == 1


def test_numbers_of_living_handlers_are_unique_and_dense():
    history = History(queue(handlers=3, spares=2))
    for handler in reversed(history.handlers()):
        history.ready(handler)
    assert [h.number for h in history.handlers()] == [0, 1, 2, 3, 4]


def test_at_least_as_many_handlers_as_pollers():
    history = History(queue(handlers=1, pollers=3, spares=0))
    assert len(history.handlers()) == 3


def test_a_set_runs_when_every_poller_and_every_place_is_ready():
    history = History(queue(handlers=2))
    history.ready(*history.handlers()[:2])
    assert history.set().state == "starting"
    history.ready(history.poller())
    assert history.set().state == "running"
    assert history.log.named("queue_ready") == [{"queue": "orders", "generation": 1, "seconds": 0.0}]


def test_a_set_that_runs_stays_running_when_handlers_die():
    history = History(queue(handlers=1, spares=0))
    history.all_ready()
    history.die(history.handler(0), by=9)
    assert history.set().state == "running"


def test_streams_that_cannot_be_made_are_tried_again_soon():
    history = History(queue(handlers=1))
    history.table.link_problem = "Too many open files"
    history.ready(history.handler(0))
    assert history.log.named("link_failed")[0]["reason"] == "Too many open files"
    assert history.handler(0).poller is None
    history.table.link_problem = ""
    history.after(1.0)
    assert history.handler(0).poller is history.poller()


def test_an_idle_pool_wakes_only_for_the_slow_tick():
    history = History(queue(handlers=4, visibility_timeout=60))
    history.all_ready()
    history.after(10)
    turns = []
    step = history.turn
    history.turn = lambda: (turns.append(history.now), step())[-1]  # type: ignore[method-assign]
    history.after(60)
    assert len(turns) <= 13


def test_ready_twice_changes_nothing():
    history = History(queue(handlers=1))
    handler = history.handler(0)
    history.ready(handler, handler)
    assert len(history.table.links) == 1
    assert history.handlers("serving") == [handler]


def test_a_set_gets_what_its_first_poller_found_out_about_the_queue():
    history = History(queue())
    history.says(history.poller(), ControlFrame.READY, {"protocol": PROTOCOL, "resolved": {"url": "http://q"}})
    assert "resolved" not in history.row(history.poller()).setup
    history.die(history.poller(), by=9)
    assert history.row(history.poller()).setup["resolved"] == {"url": "http://q"}
