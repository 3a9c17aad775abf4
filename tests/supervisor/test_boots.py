"""Test process: a boot that fails ends the first start, or waits, or ends its queue alone."""

from __future__ import annotations

import os
import signal

from tests.supervisor.histories import History, queue
from worker.policy.restarts import LIMIT
from worker.protocol import ControlFrame


def booted(**keys: object) -> History:
    history = History(queue(**keys))
    history.all_ready()
    return history


def test_a_handler_that_cannot_be_imported_on_the_first_boot_ends_everything_with_78():
    history = History(queue("orders"), queue("mails"))
    bad = history.handlers(of=history.set("mails"))[0]
    history.says(bad, ControlFrame.FAILED, {"reason": "no module named shop"})
    history.die(bad, code=78)
    assert history.log.named("config_rejected") == [
        {"queue": "mails", "process": "handler", "reason": "no module named shop"}
    ]
    for queue_set in list(history.pool.sets):
        history.drained(history.poller(of=queue_set))
    history.stop_obeyed()
    assert history.pool.exit_code == os.EX_CONFIG


def test_exit_78_without_a_word_on_the_first_boot_ends_everything_too():
    history = History(queue())
    history.die(history.poller(), code=78)
    assert history.log.named("config_rejected")[0]["reason"] == "exit code 78"
    assert history.pool.stop is not None


def test_exit_78_after_one_of_the_kind_was_ready_is_a_death_like_any_other():
    history = History(queue(handlers=2))
    first, *others = history.handlers()
    history.ready(first)
    history.die(others[0], code=78)
    assert history.pool.stop is None


def test_a_kind_that_was_ready_does_not_excuse_the_other_kind():
    history = History(queue(handlers=2))
    history.ready(*history.handlers())
    history.die(history.poller(), code=78)
    assert history.pool.stop is not None


def fail_boots(history: History, of: object, *, times: int) -> None:
    for _ in range(times):
        history.die(*history.handlers("starting", of=of), code=1)  # type: ignore[arg-type]
        history.after(31)


def test_a_queue_whose_handlers_never_get_ready_gives_up_and_the_others_go_on():
    history = History(queue("orders"), queue("mails", handlers=8))
    good, bad = history.set("orders"), history.set("mails")
    history.ready(history.poller(of=good), history.poller(of=bad), *history.handlers(of=good))
    fail_boots(history, bad, times=LIMIT - 1)
    assert bad.state == "starting"
    history.die(*history.handlers("starting", of=bad), code=1)
    assert bad.state == "gave_up"
    assert (
        history.log.named("queue_gave_up")[0]["reason"] == "10 starts of a handler failed in a row; last: exit code 1"
    )
    assert history.row(history.poller(of=bad)).sent[-1][0] == "DRAIN"
    history.drained(history.poller(of=bad))
    assert bad.children() == []
    assert history.pool.exit_code is None
    assert good.state == "running"
    shown = history.ask('{"verb":"status"}')["queues"]
    assert (shown["mails"]["state"], shown["orders"]["state"]) == ("gave_up", "running")


def test_a_queue_does_not_give_up_while_a_handler_of_it_works():
    history = booted(handlers=2, spares=0)
    history.die(history.handler(1), by=9)
    fail_boots(history, history.set(), times=3 * LIMIT)
    assert history.set().state == "running"
    history.die(history.handler(0), by=9)
    history.after(31)
    fail_boots(history, history.set(), times=1)
    assert history.set().state == "gave_up"


def test_one_that_gets_ready_clears_what_failed_before():
    history = History(queue(handlers=1, spares=0))
    history.ready(history.poller())
    for _ in range(2):
        fail_boots(history, history.set(), times=LIMIT - 1)
        history.all_ready()
        history.die(*history.handlers(), by=9)
    assert history.set().state != "gave_up"


def test_when_every_queue_gave_up_the_pool_ends_with_70():
    history = History(queue("orders"), queue("mails"))
    for queue_set in list(history.pool.sets):
        history.ready(history.poller(of=queue_set))
        fail_boots(history, queue_set, times=LIMIT)
        history.drained(history.poller(of=queue_set))
    assert history.pool.exit_code == os.EX_SOFTWARE


def test_a_queue_that_gave_up_does_not_spoil_the_exit_code_of_the_others():
    history = History(queue("orders"), queue("mails"))
    good, bad = history.set("orders"), history.set("mails")
    history.ready(history.poller(of=good), history.poller(of=bad), *history.handlers(of=good))
    fail_boots(history, bad, times=LIMIT)
    history.drained(history.poller(of=bad))
    history.signal(signal.SIGTERM)
    history.drained(history.poller(of=good))
    history.stop_obeyed()
    assert history.pool.exit_code == 0
