"""Test process: a pool that ends when all of its queues are empty; see worker/supervisor/until_empty.py."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest

from tests.supervisor.histories import START, History, queue
from worker.settings import Settings, until_empty
from worker.supervisor.tree import Child

TERM, HUP, TSTP, CONT = signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP, signal.SIGCONT


def booted(*queues: object, **keys: object) -> History:
    """Everybody is ready, and no queue is known to be empty."""
    history = History(*(queues or (queue(),)), until_empty=True, **keys)  # type: ignore[arg-type]
    history.all_ready()
    return history


def pollers(history: History) -> list[Child]:
    return [poller for queue_set in history.pool.sets for poller in queue_set.pollers.values()]


def says_empty(history: History, *children: Child, busy_until: float = START + 1, since: float = START + 10) -> None:
    """What the slots of these pollers say."""
    for child in children or pollers(history):
        row = history.row(child)
        row.busy_until, row.empty_since = busy_until, since


def drains(history: History) -> bool:
    history.after(1)
    return history.pool.stop is not None


def test_it_drains_and_ends_with_0_once_every_queue_is_empty():
    history = booted(queue("orders", pollers=2), queue("mails"))
    assert not drains(history)
    says_empty(history)
    history.after(1)
    assert history.log.named("drain_started")[0]["reason"] == "every queue is empty"
    for poller in pollers(history):
        history.drained(poller)
    history.stop_obeyed()
    assert history.pool.exit_code == 0


def test_without_until_empty_an_empty_queue_means_nothing():
    history = History(queue())
    history.all_ready()
    says_empty(history)
    assert not drains(history)


@pytest.mark.parametrize("left", [0, 1, 2])
def test_one_poller_that_does_not_say_so_keeps_all(left: int):
    history = booted(queue("orders", pollers=2), queue("mails"))
    says_empty(history)
    history.row(pollers(history)[left]).empty_since = 0.0
    assert not drains(history)


def test_evidence_older_than_the_last_work_of_another_does_not_count():
    """A message may have gone from one queue to the other since it was asked for."""
    history = booted(queue("orders"), queue("mails"))
    orders, mails = pollers(history)
    says_empty(history, orders, since=START + 30, busy_until=START + 20)
    says_empty(history, mails, since=START + 15, busy_until=START + 5)
    assert not drains(history)
    says_empty(history, mails, since=START + 21, busy_until=START + 5)
    assert drains(history)


def test_nor_does_evidence_from_before_the_machine_slept():
    """Messages may have come in an hour; a poller that is awake has newer evidence within seconds."""
    history = booted()
    history.table.now += 3600
    says_empty(history)
    assert not drains(history)
    says_empty(history, since=history.now - 10)
    assert drains(history)


def test_nor_does_evidence_older_than_what_a_dead_poller_has_hidden():
    history = booted()
    (poller,) = pollers(history)
    says_empty(history, poller, since=0.0, busy_until=START + 60)
    history.die(poller, by=9)
    history.all_ready()
    says_empty(history, since=START + 50, busy_until=0.0)
    assert not drains(history)
    says_empty(history, since=START + 61, busy_until=0.0)
    assert drains(history)


def test_nobody_concludes_anything_from_a_poller_that_boots():
    history = booted(queue(pollers=2))
    _, second = pollers(history)
    says_empty(history)
    history.die(second, by=9)
    says_empty(history)
    assert not drains(history)
    history.all_ready()
    says_empty(history)
    assert drains(history)


def test_a_queue_whose_handlers_are_not_ready_yet_is_not_done():
    """A handler function that cannot be imported has to be found out."""
    history = History(queue(), until_empty=True)
    history.ready(*pollers(history))
    says_empty(history)
    assert not drains(history)
    history.all_ready()
    assert drains(history)


def test_a_paused_pool_stays():
    history = booted()
    history.signal(TSTP)
    says_empty(history)
    assert not drains(history)
    history.signal(CONT)
    assert drains(history)


def test_a_reload_is_finished_first_and_keeps_the_word():
    """The old generation may still run something, which may send something."""
    history = booted()
    history.signal(HUP)
    says_empty(history)
    assert not drains(history)
    history.all_ready()
    says_empty(history)
    assert not drains(history), "the old generation drains"
    old = history.set()
    history.drained(history.poller(of=old))
    history.stop_obeyed()
    says_empty(history)
    assert drains(history)


def test_a_drain_wins():
    history = booted()
    says_empty(history)
    history.signal(TERM)
    history.after(2)
    assert [line["reason"] for line in history.log.named("drain_started")] == ["SIGTERM"]


def test_a_queue_that_gave_up_is_no_empty_one():
    """The others are finished; then the exit code says that not all is done."""
    history = booted(queue("orders"), queue("mails"))
    orders = history.set("orders")
    for _ in range(100):
        if orders.state == "gave_up":
            break
        for poller in list(orders.pollers.values()):
            history.die(poller, code=1)
        history.after(30)
    assert orders.state == "gave_up"
    assert history.pool.stop is None
    says_empty(history, *history.set("mails").pollers.values(), since=history.now)
    history.after(1)
    assert history.log.named("drain_started")[0]["reason"] == "every other queue is empty, and orders gave up"
    history.drained(history.poller(of=history.set("mails")))
    history.stop_obeyed()
    assert history.pool.exit_code == 70


def test_long_polls_are_short_for_it():
    """Nobody is to wait twenty seconds to hear that there is nothing."""
    asked = Settings(name="shop", queues=(queue(wait=20.0, pause=40.0), queue("mails", wait=0.0)))
    made = until_empty(asked)
    assert made.until_empty
    assert [(one.wait, one.pause) for one in made.queues] == [(1.0, 1.0), (0.0, 0.0)]
    assert replace(made, until_empty=False, queues=asked.queues) == asked


def test_status_says_what_is_waited_for():
    history = booted()
    history.row(pollers(history)[0]).awaits = "delayed"
    status = history.ask('{"verb":"status"}')
    assert (status["until_empty"], status["queues"]["orders"]["pollers"][0]["awaits"]) == (True, "delayed")
