"""Test process: a new generation gets ready beside the old one, and nothing happens if it does not."""

from __future__ import annotations

import dataclasses
import signal

from tests.supervisor.histories import START, History, queue, running
from worker.protocol import ControlFrame
from worker.settings import Settings
from worker.supervisor.tree import QueueSet

HUP = signal.SIGHUP


def booted(*queues: object, **keys: object) -> History:
    history = History(*(queues or (queue(handlers=2),)), **keys)  # type: ignore[arg-type]
    history.all_ready()
    history.did.clear()
    return history


def change(history: History, **keys: object) -> None:
    """The file says something else now."""
    settings = dataclasses.replace(history.settings, **keys)  # type: ignore[arg-type]
    history.pool.read_settings = lambda: settings


def finish(history: History, old: QueueSet) -> None:
    """An old set drains to its end."""
    history.drained(history.poller(of=old))
    history.stop_obeyed()


def test_hup_starts_a_generation_beside_the_old_one_which_goes_on():
    history = booted()
    old = history.set()
    history.signal(HUP)
    new = history.set(generation=2)
    assert (old.state, new.state) == ("running", "starting")
    assert (len(new.pollers), len(new.handlers)) == (1, 3)
    assert ("DRAIN", None) not in history.row(history.poller(of=old)).sent
    assert history.pool.state() == "reloading"


def test_the_old_generation_drains_once_everybody_of_the_new_one_is_ready():
    history = booted()
    old = history.set()
    history.signal(HUP)
    new = history.set(generation=2)
    history.ready(*history.handlers(of=new))
    assert old.state == "running"
    history.ready(history.poller(of=new))
    history.turn()
    assert (old.state, new.state) == ("draining", "running")
    assert history.row(history.poller(of=old)).sent[-1][0] == "DRAIN"
    finish(history, old)
    assert history.pool.sets == [new]
    assert history.pool.state() == "running"
    assert history.table.dissolved == [old]
    assert len(history.log.named("reload_finished")) == 1


def test_no_queue_is_swapped_before_all_are_ready():
    history = booted(queue("orders"), queue("mails"))
    history.signal(HUP)
    ready = history.set("orders", generation=2)
    history.ready(*ready.children())
    assert history.set("orders").state == "running"
    history.all_ready()
    history.turn()
    assert history.set("orders").state == history.set("mails").state == "draining"


def test_a_bad_config_leaves_everything_as_it_is_and_says_why():
    history = booted()

    def bad() -> Settings:
        raise ValueError("worker.toml: [queues.orders] handlers: 0 is too few")

    history.pool.read_settings = bad
    answer = history.ask('{"verb":"reload"}')
    assert answer == {"ok": False, "error": "worker.toml: [queues.orders] handlers: 0 is too few"}
    assert history.log.named("reload_aborted") == [{"reason": "worker.toml: [queues.orders] handlers: 0 is too few"}]
    assert len(history.pool.sets) == 1


def test_a_config_file_that_is_gone_leaves_everything_as_it_is():
    history = booted()

    def gone() -> Settings:
        raise FileNotFoundError(2, "No such file or directory", "worker.toml")

    history.pool.read_settings = gone
    history.signal(HUP)
    assert "worker.toml" in history.log.named("reload_aborted")[0]["reason"]
    assert history.pool.state() == "running"


def test_a_boot_that_fails_ends_the_attempt_and_the_old_one_is_untouched():
    history = booted()
    old = history.set()
    before = old.children()
    history.signal(HUP)
    new = history.set(generation=2)
    bad = history.handlers(of=new)[0]
    history.says(bad, ControlFrame.FAILED, {"reason": "no module named shop"})
    history.die(bad, code=78)
    reason = history.log.named("reload_aborted")[0]["reason"]
    assert reason == "the new handler of queue orders did not start: no module named shop"
    assert (old.state, old.children(), new.state) == ("running", before, "draining")
    assert history.pool.stop is None
    history.after(4)
    history.reap_killed()
    assert history.pool.sets == [old]


def test_a_generation_that_is_not_ready_within_a_minute_is_given_up_with_the_reason():
    history = booted()
    old = history.set()
    history.signal(HUP)
    new = history.set(generation=2)
    history.ready(history.poller(of=new), history.handlers(of=new)[0])
    history.after(59.9)
    assert history.pool.reload is not None
    history.after(0.2)
    assert history.pool.reload is None
    assert history.log.named("reload_aborted") == [
        {"reason": "not ready after 60 s: queue orders has 1 of 1 pollers and 1 of 2 handlers ready"}
    ]
    assert (old.state, new.state) == ("running", "draining")


def test_an_attempt_that_ends_drains_what_has_polled_instead_of_killing_it():
    history = booted()
    history.signal(HUP)
    new = history.set(generation=2)
    poller = history.poller(of=new)
    history.ready(poller)
    history.after(61)
    assert history.row(poller).sent[-1][0] == "DRAIN"
    assert not history.row(poller).killed


def test_a_drain_that_comes_meanwhile_drains_both():
    history = booted()
    history.signal(HUP)
    history.signal(signal.SIGTERM)
    assert {s.state for s in history.pool.sets} == {"draining"}
    assert history.pool.reload is None
    assert "a drain wins" in history.log.named("reload_aborted")[0]["reason"]


def test_hup_while_a_generation_is_starting_is_kept_for_later():
    history = booted()
    history.signal(HUP)
    history.signal(HUP)
    assert len(history.pool.sets) == 2
    history.all_ready()
    history.turn()
    assert [s.generation for s in history.pool.sets] == [1, 2, 3]
    assert len(history.log.named("reload_started")) == 2


def test_removed_queues_drain_and_added_ones_start():
    history = booted(queue("orders"), queue("mails"))
    change(history, queues=(queue("orders"), queue("bills")))
    history.signal(HUP)
    history.all_ready()
    history.turn()
    states = {(s.queue.name, s.generation): str(s.state) for s in history.pool.sets}
    assert states == {
        ("orders", 1): "draining",
        ("mails", 1): "draining",
        ("orders", 2): "running",
        ("bills", 2): "running",
    }


def test_new_settings_count_from_the_swap():
    history = booted()
    change(history, drain_timeout=99.0, log_level="warning", name="other")
    history.signal(HUP)
    assert history.pool.settings.drain_timeout == 25.0
    history.all_ready()
    history.turn()
    assert (history.pool.settings.drain_timeout, history.log.level) == (99.0, "warning")


def test_what_an_operator_scaled_stays_unless_the_file_now_says_something_else():
    history = booted(queue("orders", handlers=2), queue("mails", handlers=2))
    history.ask('{"verb":"scale","queue":"orders","handlers":5}')
    history.ask('{"verb":"scale","queue":"mails","handlers":5}')
    change(history, queues=(queue("orders", handlers=2), queue("mails", handlers=3)))
    history.signal(HUP)
    assert history.set("orders", generation=2).wanted == 5
    assert history.set("mails", generation=2).wanted == 3


def test_replaced_handlers_may_finish_what_they_run():
    history = booted(queue(handlers=1, handler_timeout=300.0))
    busy = history.handlers("serving")[0]
    running(history, busy, deadline=START + 290)
    history.signal(HUP)
    history.all_ready()
    history.after(280)
    assert not history.row(busy).killed


def test_term_after_a_swap_shortens_the_drain_of_the_old_set():
    history = booted(queue(handlers=1, handler_timeout=300.0))
    old = history.set()
    running(history, history.handlers("serving")[0], deadline=START + 290)
    history.signal(HUP)
    history.all_ready()
    history.after(1)
    first = history.row(history.poller(of=old)).sent[-1][1]["deadline"]
    history.signal(signal.SIGTERM)
    second = history.row(history.poller(of=old)).sent[-1][1]["deadline"]
    assert second == history.now + 24.5 < first


def test_a_queue_that_gave_up_is_cured_by_a_reload():
    history = History(queue("orders"), queue("mails"))
    bad = history.set("mails")
    history.ready(*history.set("orders").children())
    for _ in range(10):
        history.die(*history.handlers("starting", of=bad), code=1)
        history.after(31)
    history.after(4)
    history.reap_killed()
    assert bad.state == "gave_up"
    history.signal(HUP)
    history.all_ready()
    history.turn()
    assert history.set("mails", generation=2).state == "running"
    assert bad not in history.pool.sets


def test_a_pool_that_never_got_ready_can_be_cured_by_a_reload():
    history = History(queue())
    history.ready(history.poller())
    history.die(*history.handlers("starting"), code=1)
    history.signal(HUP)
    new = history.set(generation=2)
    history.ready(*new.children())
    history.turn()
    assert new.state == "running"


def test_a_pool_in_which_all_have_given_up_ends_when_the_reload_fails_too():
    history = History(queue())
    history.ready(history.poller())
    for _ in range(9):
        history.die(*history.handlers("starting"), code=1)
        history.after(31)
    history.signal(HUP)
    history.die(*history.handlers("starting", of=history.set()), code=1)
    assert history.pool.stop is None
    history.die(history.handlers("starting", of=history.set(generation=2))[0], code=1)
    assert history.pool.stop is not None
    assert history.pool.stop.code == 70


def test_another_path_of_the_control_socket_needs_a_restart():
    history = booted(control_socket="/run/a.sock")
    change(history, control_socket="/run/b.sock")
    history.signal(HUP)
    assert history.log.named("control_socket_kept")[0]["path"] == "/run/a.sock"
