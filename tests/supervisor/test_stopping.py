"""Test process: the story of stopping, from the signal to the exit code."""

from __future__ import annotations

import signal

import pytest

from tests.supervisor.histories import START, History, queue, running
from worker.protocol import ControlFrame
from worker.supervisor.stopping import budget

TERM, HUP, CONT = signal.SIGTERM, signal.SIGHUP, signal.SIGCONT


def booted(*queues: object, **keys: object) -> History:
    history = History(*(queues or (queue(handlers=2),)), **keys)  # type: ignore[arg-type]
    history.all_ready()
    history.did.clear()
    return history


@pytest.mark.parametrize(
    ("seconds", "kill_at", "deadline"), [(25.0, 20.75, 24.5), (2.0, 0.5, 1.5), (0.1, 0.0, 0.0), (100.0, 84.5, 99.5)]
)
def test_a_budget_leaves_a_reserve_to_the_pollers_and_half_a_second_to_us(
    seconds: float, kill_at: float, deadline: float
):
    times = budget(START, seconds)
    assert (times.kill_at, times.deadline, times.exit_by) == pytest.approx(
        (START + kill_at, START + deadline, START + seconds)
    )


def test_pollers_are_told_to_drain_and_spares_to_stop_while_handlers_stay():
    history = booted()
    history.signal(TERM)
    spare = history.handlers("stopping")[0]
    assert history.did == ["DRAIN poller 0", f"STOP handler #{spare.uid}"]
    assert history.row(history.poller()).sent[-1] == ("DRAIN", {"deadline": START + 24.5})
    assert len(history.handlers("serving")) == 2


def test_handlers_stop_when_their_own_poller_has_drained():
    history = booted(queue(handlers=4, pollers=2, spares=0))
    history.signal(TERM)
    history.drained(history.poller(0))
    assert {h.number for h in history.handlers("stopping")} == {0, 2}
    assert {h.number for h in history.handlers("serving")} == {1, 3}


def test_a_clean_drain_ends_with_0():
    history = booted(queue(handlers=3, pollers=2))
    history.signal(TERM)
    for number in (0, 1):
        history.drained(history.poller(number))
    history.stop_obeyed()
    assert history.pool.exit_code == 0
    assert history.log.named("drain_finished") == [{"code": 0, "unconfirmed": 0, "left": 0, "seconds": 0.0}]
    assert all(row.buried for row in history.table.rows.values())


def test_settlements_left_unconfirmed_end_with_75():
    history = booted(queue("orders"), queue("mails"))
    history.signal(TERM)
    history.drained(history.poller(of=history.set("orders")), unconfirmed=3)
    history.drained(history.poller(of=history.set("mails")))
    history.stop_obeyed()
    assert history.pool.exit_code == 75
    assert history.log.named("drain_finished")[0]["unconfirmed"] == 3


def test_what_still_runs_near_the_end_is_killed_and_its_poller_releases_it():
    history = booted()
    busy, idle = history.handlers("serving")
    running(history, busy, deadline=START + 600)
    history.signal(TERM)
    history.after(20.7)
    assert not history.row(busy).killed
    history.after(0.1)
    assert (history.row(busy).killed, history.row(idle).killed) == (True, False)
    history.reap_killed()
    (kind, notice) = history.row(history.poller()).sent[-1]
    assert (kind, notice["handler"], notice["caused"]) == ("DIED", busy.uid, True)
    history.drained(history.poller())
    history.stop_obeyed()
    assert history.pool.exit_code == 0


def test_a_message_that_starts_after_the_kill_is_killed_too():
    history = booted()
    late = history.handlers("serving")[0]
    history.signal(TERM)
    history.after(21)
    running(history, late, deadline=START + 600)
    history.after(0.2)
    assert history.row(late).killed


def test_a_poller_that_never_drains_is_killed_and_the_exit_is_in_time():
    history = booted()
    history.signal(TERM)
    history.after(24.7)
    assert not history.row(history.poller()).killed
    history.after(0.1)
    assert history.row(history.poller()).killed
    history.reap_killed()
    assert history.pool.exit_code == 75
    assert history.now - START <= 25


def test_a_child_that_cannot_be_killed_does_not_hold_the_exit():
    history = booted()
    history.signal(TERM)
    history.after(25.01)
    assert history.pool.exit_code == 75
    assert history.log.named("drain_finished")[0]["left"] == 4


# --- a second word


def test_a_second_term_kills_what_runs_at_once():
    history = booted()
    busy = history.handlers("serving")[0]
    running(history, busy, deadline=START + 600)
    history.signal(TERM)
    history.after(1)
    history.signal(TERM)
    assert history.row(busy).killed
    assert not history.row(history.poller()).killed
    assert history.log.named("drain_hurried") == [{}]


def test_an_echo_of_the_first_term_does_not_hurry():
    history = booted()
    busy = history.handlers("serving")[0]
    running(history, busy, deadline=START + 600)
    history.signal(TERM)
    history.after(0.01)
    history.signal(TERM)
    assert not history.row(busy).killed


def test_a_drain_asked_for_again_on_the_control_socket_does_not_hurry():
    history = booted()
    busy = history.handlers("serving")[0]
    running(history, busy, deadline=START + 600)
    for _ in range(2):
        assert history.ask('{"verb":"drain"}') == {"ok": True, "state": "draining"}
        history.after(1)
    assert not history.row(busy).killed
    assert len(history.log.named("drain_started")) == 1


@pytest.mark.parametrize("words", [(TERM, HUP), (TERM, TERM, HUP), (HUP, TERM), (TERM, CONT), (TERM, HUP, CONT, HUP)])
def test_whatever_is_said_a_drain_wins_and_ends(words: tuple[signal.Signals, ...]):
    history = booted()
    for word in words:
        history.signal(word)
        history.after(0.5)
    assert history.pool.state() == "draining"
    assert all(queue_set.budget for queue_set in history.pool.sets)
    for queue_set in list(history.pool.sets):
        if queue_set.pollers:
            history.drained(history.poller(of=queue_set))
    history.stop_obeyed()
    assert history.pool.exit_code == 0


def test_cont_does_not_undo_a_drain_of_a_paused_pool():
    history = booted()
    history.signal(signal.SIGTSTP)
    history.signal(TERM)
    history.signal(CONT)
    assert history.pool.state() == "draining"
    assert ("RESUME", None) not in history.row(history.poller()).sent


def test_nothing_is_started_in_a_drain():
    history = booted()
    history.signal(TERM)
    history.did.clear()
    history.die(*history.handlers("serving"), by=9)
    history.after(5)
    assert not any(command.startswith("spawn") for command in history.did)


# --- starting


def test_term_while_everything_boots_ends_soon_though_nobody_answers():
    history = History(queue(handlers=3))
    history.signal(TERM)
    assert all(history.row(handler).killed for handler in history.handlers())
    history.reap_killed()
    history.after(3.1)
    assert history.row(history.poller()).killed
    history.reap_killed()
    assert history.pool.exit_code == 0
    assert history.now - START < 4


def test_term_while_everything_boots_lets_a_poller_say_that_it_holds_nothing():
    history = History(queue())
    history.signal(TERM)
    history.reap_killed()
    poller = history.poller()
    history.ready(poller)
    history.drained(poller)
    assert history.pool.exit_code == 0


def test_term_before_the_first_turn_starts_nothing_that_stays():
    history = History(queue())
    for _ in range(3):
        history.signal(TERM)
    history.reap_killed()
    history.after(4)
    history.reap_killed()
    assert history.pool.exit_code == 0


# --- deaths while draining


def test_a_poller_that_dies_in_a_drain_has_a_successor_that_drains():
    history = booted()
    history.signal(TERM)
    first, handlers = history.poller(), history.handlers("serving")
    history.die(first, by=9)
    second = history.poller()
    assert second is not first
    assert history.row(second).sent == [("DRAIN", {"deadline": START + 24.5})]
    assert all(handler.poller is second for handler in handlers)
    history.ready(second)
    history.drained(second)
    history.stop_obeyed()
    assert history.pool.exit_code == 0


def test_a_poller_that_dies_near_the_end_of_a_drain_has_no_successor_and_its_handlers_stop():
    history = booted()
    history.signal(TERM)
    history.after(23)
    history.die(history.poller(), by=9)
    assert history.pool.sets[0].pollers == {}
    assert history.handlers("serving") == []
    history.stop_obeyed()
    assert history.pool.exit_code == 75


def test_a_successor_that_cannot_boot_does_not_hold_the_drain_beyond_its_time():
    history = booted()
    history.signal(TERM)
    history.die(history.poller(), by=9)
    history.table.spawn_problem = "no memory"
    history.die(history.poller(), code=1)
    history.after(23)
    history.stop_obeyed()
    assert history.pool.exit_code == 75
    assert history.now - START < 25


def test_a_drain_is_not_over_while_a_successor_is_still_to_come():
    history = booted()
    history.signal(TERM)
    history.die(history.poller(), *history.handlers(), by=9)
    history.die(history.poller(), code=1)
    assert history.pool.children() == []
    assert history.pool.exit_code is None
    history.after(0.1)
    history.ready(history.poller())
    history.drained(history.poller())
    assert history.pool.exit_code == 0


def test_a_poller_that_exits_after_its_last_word_is_not_replaced():
    history = booted()
    history.signal(TERM)
    history.did.clear()
    history.drained(history.poller())
    assert not any(command.startswith("spawn") for command in history.did)


def test_a_poller_that_drained_but_does_not_exit_is_killed():
    history = booted()
    history.signal(TERM)
    history.says(history.poller(), ControlFrame.DRAINED, {"unconfirmed": 0})
    history.after(2.1)
    assert history.row(history.poller()).killed
    history.reap_killed()
    history.stop_obeyed()
    assert history.pool.exit_code == 0


def test_a_handler_that_does_not_obey_stop_is_killed_in_time():
    history = booted()
    history.signal(TERM)
    history.drained(history.poller())
    history.after(25)
    assert all(history.row(handler).killed for handler in history.handlers())


def test_lease_tables_are_let_go_with_their_set():
    history = booted(queue("orders"), queue("mails"))
    orders = history.set("orders")
    history.signal(TERM)
    history.drained(history.poller(of=orders))
    history.stop_obeyed()
    assert history.table.dissolved == [orders]


# --- on_stop of handlers


@pytest.mark.parametrize(("on_stop", "seconds"), [("", 10.0), ("shop:close", 24.5)])
def test_an_on_stop_has_what_is_left_of_the_budget(on_stop: str, seconds: float):
    """A process without one gets ten seconds for its exit hooks. Nobody else waits for either."""
    history = booted(queue(handlers=2, on_stop=on_stop))
    slow, quick = history.handlers("serving")
    history.signal(TERM)
    history.drained(history.poller())
    history.die(quick)
    history.after(seconds - 0.1)
    assert not history.row(slow).killed
    history.after(0.2)
    assert history.row(slow).killed
    assert {fields["pid"] for fields in history.log.named("child_lingered")} >= {slow.pid}
    history.stop_obeyed()
    assert history.pool.exit_code == 0


@pytest.mark.parametrize(
    ("on_stop", "drain_timeout", "seconds"), [("", 60, 10), ("shop:close", 60, 60), ("x:y", 8, 10)]
)
def test_an_on_stop_outside_of_a_drain_has_as_long_as_one(on_stop: str, drain_timeout: float, seconds: float):
    """A handler that is recycled or scaled away; its place is served by then."""
    history = booted(queue(handlers=2, on_stop=on_stop, spares=0), drain_timeout=float(drain_timeout))
    history.ask('{"verb": "scale", "queue": "orders", "handlers": 1}')
    (gone,) = history.handlers("leaving")
    history.says(history.poller(), ControlFrame.DETACHED, {"handler": gone.uid})
    history.after(seconds - 0.1)
    assert not history.row(gone).killed
    history.after(0.2)
    assert history.row(gone).killed
