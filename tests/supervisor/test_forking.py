"""Test process: handlers that a template forks: asked for, named, given up; see worker/supervisor/forking.py."""

from __future__ import annotations

import os
import signal

import pytest

from tests.supervisor.histories import START, History, queue
from worker import platform
from worker.policy.restarts import LIMIT
from worker.protocol import ControlFrame
from worker.supervisor import forking
from worker.supervisor.tree import Role, SetState

pytestmark = pytest.mark.skipif(not platform.LINUX, reason="handlers are forked on Linux only")


def preloading(**keys: object) -> History:
    return History(queue(**{"handlers": 2, "spares": 1, "preload": True, **keys}))


def booted(**keys: object) -> History:
    history = preloading(**keys)
    history.all_ready()
    history.did.clear()
    return history


def test_the_template_comes_first_and_handlers_are_forked_once_it_is_ready():
    """Nothing is asked of a template that still imports the application."""
    history = preloading()
    assert history.did == ["spawn poller 0", "spawn template"]
    history.ready(history.template())
    assert history.did == ["fork handler #4", "fork handler #5", "fork handler #6"]
    assert history.set().state == "starting"


def test_a_forked_handler_gets_ready_and_takes_its_place_as_any_other():
    """From READY on nothing differs."""
    history = preloading(handlers=1, spares=0)
    history.ready(history.template(), history.poller())
    handler = history.handler(0)
    history.forked(handler)
    history.ready(handler)
    assert history.did[-2:] == [f"adopt handler #{handler.uid}", f"link poller 0 handler #{handler.uid}"]
    assert (handler.phase, history.set().state) == ("serving", "running")


def test_a_handler_that_dies_is_replaced_by_a_fork_at_once():
    """No process is exec'd for it."""
    history = booted()
    history.die(history.handler(0), by=9)
    assert [what for what in history.did if "fork" in what or "spawn" in what] == ["fork handler #7"]


def test_a_template_that_dies_costs_no_handler_and_is_started_again_at_once():
    """Handlers go on, in their places, with their streams; a death after READY is no failed start."""
    history = booted()
    before = history.handlers()
    history.die(history.template(), by=9)
    assert history.did == ["spawn template"]
    assert history.handlers() == before
    assert history.set().state == "running"


def test_while_the_template_boots_again_the_dead_wait_for_it():
    """The spare takes the place; its successor is forked when that is possible again."""
    history = booted()
    history.die(history.template(), history.handler(0), by=9)
    assert not [what for what in history.did if what.startswith("fork")]
    history.ready(history.template())
    assert [what for what in history.did if what.startswith("fork")] == ["fork handler #8"]


def test_handlers_that_were_asked_for_are_forgotten_with_their_template_and_asked_for_anew():
    """They are processes that nobody knows: their control sockets are closed, and so they end."""
    history = preloading(handlers=1)
    history.ready(history.template())
    lost = history.handlers()
    assert [handler.pid for handler in lost] == [0, 0]
    history.die(history.template(), by=9)
    assert all(history.row(handler).buried for handler in lost)
    assert history.handlers() == []
    history.ready(history.template())
    history.after(0.2)
    assert len(history.set().unborn()) == 2


def test_a_template_that_dies_of_every_fork_makes_the_queue_give_up():
    """It is READY each time, so that only the forks that came to nothing tell."""
    history = preloading()
    history.ready(history.poller())
    for _ in range(LIMIT):
        assert history.set().state == "starting"
        history.ready(history.template())
        history.after(31)
        assert history.set().unborn()
        history.die(history.template(), by=signal.SIGSEGV)
    assert history.set().state == "gave_up"
    assert "its template died before" in history.set().reason


def test_a_system_without_processes_is_asked_again_later_and_for_ever():
    """It is not the queue's fault."""
    history = preloading(handlers=1, spares=0)
    history.ready(history.template())
    for _ in range(2 * LIMIT):
        [handler] = history.set().unborn()
        history.says(history.template(), ControlFrame.NOT_FORKED, {"uid": handler.uid, "reason": "no process left"})
        assert history.row(handler).buried
        assert history.set().unborn() == []
        history.after(history.sleep + 0.01)
        for _ in range(10):
            history.after(0 if history.set().unborn() else history.sleep)
    assert history.set().state == "starting"
    assert history.log.named("spawn_failed")[0]["reason"] == "no process left"


def test_a_handler_that_cannot_be_asked_for_is_tried_again():
    """No descriptor was left for it."""
    history = preloading(handlers=1, spares=0)
    history.table.spawn_problem = "Too many open files"
    history.ready(history.template())
    assert history.handlers() == []
    history.table.spawn_problem = ""
    history.after(1)
    assert len(history.set().unborn()) == 1


def test_nobody_is_signalled_before_the_template_has_named_him():
    """A drain finds a handler without a pid: it is killed as soon as it has one."""
    history = preloading(handlers=1, spares=0)
    history.ready(history.template(), history.poller())
    handler = history.handler(0)
    history.signal(signal.SIGTERM)
    assert handler.phase == "stopping"
    history.row(handler).killed = False
    history.forked(handler)
    assert history.row(handler).killed


def test_a_drain_ends_the_template_at_once_and_waits_for_whom_it_forks_meanwhile():
    """It is of no more use: a drain starts no handler. FORK frames lie before STOP, so they are still answered."""
    history = preloading(handlers=1, spares=0)
    history.ready(history.template(), history.poller())
    handler, template = history.handler(0), history.template()
    history.signal(signal.SIGTERM)
    assert history.row(template).sent == [("STOP", None)]
    history.forked(handler)
    history.die(template, code=0)
    history.drained(history.poller())
    assert history.pool.exit_code is None
    history.die(handler, by=9)
    assert history.pool.exit_code == os.EX_OK
    assert history.did.count("spawn template") == 1


def test_a_template_that_still_imports_is_killed_by_a_drain():
    """It reads no frames."""
    history = preloading()
    history.signal(signal.SIGTERM)
    assert history.row(history.template()).killed


def test_an_application_that_cannot_be_preloaded_ends_the_first_start_with_78():
    """The reason that the template gave is in the log, and names what to do."""
    history = preloading()
    history.says(history.template(), ControlFrame.FAILED, {"reason": "cannot preload 'shop:place': a thread"})
    history.die(history.template(), code=78)
    [told] = history.log.named("config_rejected")
    assert told == {"queue": "orders", "process": "template", "reason": "cannot preload 'shop:place': a thread"}
    history.drained(history.poller())
    assert history.pool.exit_code == os.EX_CONFIG


def test_a_template_that_fails_later_backs_off_and_the_queue_goes_on_while_handlers_do():
    """The code on disk has changed under a running pool."""
    history = booted()
    history.die(history.template(), by=9)
    for _ in range(2 * LIMIT):
        history.die(history.template(), code=1)
        assert history.set().template is None
        history.after(31)
    assert history.set().state == "running"


def test_templates_that_never_get_ready_make_the_queue_give_up():
    """Nobody else could start a handler."""
    history = preloading()
    for _ in range(LIMIT):
        history.die(history.template(), code=1)
        history.after(31)
    assert history.set().state == "gave_up"
    assert history.set().reason.startswith("10 starts of a template failed in a row")


def test_a_template_that_does_not_answer_is_replaced():
    """It was stopped, or hangs in a fork hook of the application."""
    history = booted()
    template = history.template()
    history.die(history.handler(0), by=9)
    history.after(forking.PATIENCE - 0.1)
    assert not history.row(template).killed
    history.after(6)
    assert history.row(template).killed
    assert history.log.named("template_stuck")[0]["pid"] == template.pid
    history.reap_killed()
    assert history.template() is not template


def test_a_pool_that_was_suspended_blames_no_template():
    """Everybody slept, the supervisor too."""
    history = booted()
    history.die(history.handler(0), by=9)
    history.table.now += 1000
    history.turn()
    assert not history.row(history.template()).killed


def test_a_reload_brings_a_template_of_its_own_and_the_old_one_goes_with_its_set():
    """The new code is imported by the new template."""
    history = booted()
    old = history.template()
    history.signal(signal.SIGHUP)
    new = history.set(generation=2)
    assert history.template(of=new) is not old
    assert history.row(old).sent == []
    history.all_ready()
    assert history.row(old).sent == [("STOP", None)]
    assert new.state is SetState.RUNNING


def test_a_reload_whose_template_refuses_changes_nothing():
    """The old generation works on."""
    history = booted()
    history.signal(signal.SIGHUP)
    template = history.template(of=history.set(generation=2))
    history.says(template, ControlFrame.FAILED, {"reason": "cannot preload"})
    history.die(template, code=78)
    assert "the new template of queue orders did not start" in history.log.named("reload_aborted")[0]["reason"]
    assert history.set(generation=1).state == "running"


def test_who_lies_about_forks_is_replaced():
    """A pid that is no child of ours, a handler that nobody asked for, an answer twice, one that is no template."""
    history = booted()
    cases = [
        (history.template(), {"uid": 999, "pid": 7}),
        (history.template(), {"uid": history.handler(0).uid, "pid": 7}),
        (history.handler(0), {"uid": history.handler(1).uid, "pid": 7}),
        (history.poller(), {"uid": history.handler(1).uid, "pid": 7}),
    ]
    for liar, header in cases:
        history.row(liar).killed, liar.killed_at = False, float("inf")
        history.says(liar, ControlFrame.FORKED, header)
        assert history.row(liar).killed
    history = preloading()
    history.ready(history.template())
    history.table.strangers = {1}
    history.says(history.template(), ControlFrame.FORKED, {"uid": history.handler(0).uid, "pid": 1})
    assert history.row(history.template()).killed


def test_a_queue_without_preload_has_no_template():
    """The pool is what it was."""
    history = History(queue())
    history.all_ready()
    assert history.set().template is None
    assert not [what for what in history.did if "fork" in what]


def test_elsewhere_than_on_linux_handlers_are_execd_and_the_log_says_so(monkeypatch: pytest.MonkeyPatch):
    """One file serves a laptop and the servers."""
    monkeypatch.setattr(platform, "LINUX", False)
    history = preloading()
    assert "spawn handler #3" in history.did
    assert history.set().template is None
    assert history.log.named("preload_unavailable")[0]["queue"] == "orders"


def test_status_and_stacks_show_the_template():
    """An operator sees what it is doing, and what it holds."""
    history = booted()
    history.die(history.template(), by=9)
    [shown] = history.ask('{"verb":"status"}')["queues"]["orders"]["templates"]
    assert shown == {
        "pid": history.template().pid,
        "generation": 1,
        "state": "starting",
        "resident_bytes": 1 << 20,
        "restarts": 1,
    }
    history.ask('{"verb":"stacks"}')
    assert signal.SIGUSR2 in history.row(history.template()).signals
    assert history.now == START
    assert history.template().role is Role.TEMPLATE
