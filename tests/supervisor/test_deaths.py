"""Test process: every death is answered by a rule."""

from __future__ import annotations

from tests.supervisor.histories import History, queue
from worker.supervisor.filling import KEPT, MOST_KEPT


def booted(**keys: object) -> History:
    history = History(queue(**keys))
    history.all_ready()
    history.did.clear()
    return history


def told(history: History, poller: object) -> list[object]:
    """The headers of the DIED frames that a poller got."""
    return [header for kind, header in history.row(poller).sent if kind == "DIED"]  # type: ignore[arg-type]


# --- handlers


def test_a_dead_handler_is_replaced_by_the_ready_spare_in_the_same_turn():
    history = booted(handlers=2, spares=1)
    victim, spare = history.handler(0), history.handlers("spare")[0]
    history.did.clear()
    history.die(victim, by=9)
    did = history.did
    assert did[0] == f"link poller 0 handler #{spare.uid}"
    assert did[1] == "DIED poller 0"
    assert did[2].startswith("spawn handler")
    assert (spare.number, spare.phase) == (0, "serving")


def test_the_poller_is_told_how_a_handler_ended():
    history = booted(handlers=1)
    victim = history.handler(0)
    history.row(victim).stacks = "Thread 0x1"
    history.die(victim, by=11)
    assert told(history, history.poller()) == [
        {
            "handler": victim.uid,
            "status": 11,
            "signal": 11,
            "code": None,
            "peak": 123,
            "caused": False,
            "overdue": False,
            "stack": "Thread 0x1",
        }
    ]


def test_exit_0_without_stop_is_a_death_like_any_other():
    history = booted(handlers=1)
    victim = history.handler(0)
    history.die(victim, code=0)
    (notice,) = told(history, history.poller())
    assert (notice["code"], notice["signal"], notice["caused"]) == (0, 0, False)
    assert history.handler(0) is not victim


def test_a_stack_of_any_length_is_cut_for_the_poller():
    history = booted(handlers=1)
    history.row(history.handler(0)).stacks = "x" * 100_000
    history.die(history.handler(0), by=9)
    (notice,) = told(history, history.poller())
    assert len(notice["stack"]) == 8192


def test_without_a_ready_spare_the_place_goes_to_the_next_that_gets_ready():
    history = booted(handlers=1, spares=0)
    history.die(history.handler(0), by=9)
    heir = history.handler(0)
    assert heir.phase == "starting"
    history.ready(heir)
    assert heir.poller is history.poller()


def test_deaths_after_ready_are_answered_at_once_however_many():
    history = booted(handlers=1, spares=0)
    for _ in range(50):
        history.die(history.handler(0), by=9)
        assert len(history.handlers("starting")) == 1
        history.all_ready()
    assert history.set().state == "running"


def test_a_dead_spare_is_replaced_and_no_poller_hears_of_it():
    history = booted(handlers=1, spares=1)
    spare = history.handlers("spare")[0]
    history.die(spare, by=9)
    assert told(history, history.poller()) == []
    assert history.row(spare).buried
    assert len(history.handlers()) == 2


def test_a_handler_and_the_spare_that_die_together_leave_no_dead_one_in_a_place():
    history = booted(handlers=1, spares=1)
    history.die(*history.handlers(), by=9)
    assert [h.phase for h in history.handlers()] == ["starting", "starting"]
    assert not any("link" in command for command in history.did)


def test_the_last_boot_that_fails_waits_while_handlers_that_were_ready_are_replaced_at_once():
    history = booted(handlers=1, spares=1)
    history.die(history.handlers("spare")[0], by=9)
    history.die(history.handlers("starting")[0], code=1)
    assert history.handlers("starting") == []
    history.after(0.2)
    assert len(history.handlers("starting")) == 1


# --- what a dead handler leaves


def test_what_a_dead_handler_leaves_is_kept_until_its_poller_has_surely_read_it():
    history = booted(handlers=1)
    victim = history.handler(0)
    history.die(victim, by=9)
    history.after(KEPT - 0.1)
    assert not history.row(victim).buried
    history.after(0.2)
    assert history.row(victim).buried


def test_a_successor_is_introduced_to_handlers_that_died_while_there_was_no_poller():
    history = booted(handlers=1, spares=1)
    poller, victim = history.poller(), history.handler(0)
    history.table.spawn_problem = "no memory"
    history.die(poller, by=9)
    history.die(victim, by=9)
    history.table.spawn_problem = ""
    history.did.clear()
    history.after(1)
    successor = history.poller()
    assert victim.uid in history.row(successor).setup["handlers_expected"]
    assert f"link poller 0 handler #{victim.uid}" in history.did
    assert [notice["handler"] for notice in told(history, successor)] == [victim.uid]


def test_a_poller_that_dies_with_its_handler_leaves_both_deaths_to_the_successor():
    history = booted(handlers=2, spares=1)
    poller, victim = history.poller(), history.handler(0)
    history.die(victim, poller, by=9)
    successor = history.poller()
    assert told(history, poller) == []
    assert [notice["handler"] for notice in told(history, successor)] == [victim.uid]


def test_a_poller_killed_just_after_it_was_told_may_not_have_read_it_so_its_successor_is_told_again():
    history = booted(handlers=2)
    first, victim = history.poller(), history.handler(0)
    history.die(victim, by=9)
    history.after(KEPT / 2)
    history.die(first, by=9)
    assert [notice["handler"] for notice in told(history, history.poller())] == [victim.uid]


def test_a_death_long_ago_is_not_told_to_a_successor():
    history = booted(handlers=2)
    history.die(history.handler(0), by=9)
    history.after(KEPT + 0.1)
    history.die(history.poller(), by=9)
    assert told(history, history.poller()) == []


def test_a_poller_that_stood_still_since_it_was_told_has_read_nothing():
    """Stopped, and killed for it in the end: what the dead handler had done is known from its slot alone."""
    history = booted(handlers=2)
    poller, victim = history.poller(), history.handler(0)
    history.row(poller).progress = history.now
    history.die(victim, by=9)
    history.after(KEPT + 5)
    assert not history.row(victim).buried
    history.die(poller, by=9)
    assert [notice["handler"] for notice in told(history, history.poller())] == [victim.uid]
    history.ready(history.poller())
    history.after(KEPT + 1)
    assert history.row(victim).buried


def test_what_is_kept_for_pollers_to_come_is_bounded():
    history = booted(handlers=40, spares=40)
    for _ in range(4):
        history.die(*history.handlers(), history.poller(), by=9)
        history.all_ready()
    assert len(history.set().bequests) == MOST_KEPT
    newest = [bequest.child.uid for bequest in history.set().bequests]
    assert newest == sorted(newest)
    unburied = [row for row in history.table.rows.values() if not row.buried]
    assert len(unburied) == MOST_KEPT + len(history.pool.children())


# --- pollers


def test_a_dead_poller_is_replaced_at_once_and_every_living_handler_is_linked_to_the_successor():
    history = booted(handlers=3, spares=1)
    handlers = history.handlers("serving")
    history.did.clear()
    history.die(history.poller(), by=9)
    assert history.did == ["spawn poller 0", *(f"link poller 0 handler #{h.uid}" for h in handlers)]
    assert history.poller().epoch == 2


def test_a_dead_poller_of_two_takes_nothing_from_the_other():
    history = booted(handlers=4, pollers=2)
    other = [h for h in history.handlers("serving") if h.number % 2 == 0]
    history.die(history.poller(1), by=9)
    assert all(h.poller is history.poller(0) for h in other)
    assert {h.poller for h in history.handlers("serving") if h.number % 2} == {history.poller(1)}


def test_handlers_live_on_when_their_poller_dies():
    history = booted(handlers=3)
    history.die(history.poller(), by=9)
    assert not any("kill" in command or "STOP" in command for command in history.did)


def test_counters_of_dead_pollers_stay_and_their_gauges_go():
    history = booted(handlers=1)
    for received in (10, 20):
        history.row(history.poller()).counters = {"received": received, "in_flight": 7}
        history.die(history.poller(), by=9)
        history.all_ready()
    history.row(history.poller()).counters = {"received": 1, "in_flight": 2}
    counters = history.ask('{"verb":"status"}')["queues"]["orders"]["counters"]
    assert (counters["received"], counters["in_flight"]) == (31, 2)
