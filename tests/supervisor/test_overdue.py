"""Test process: the ladder against a handler that is past a message's deadline."""

from __future__ import annotations

from tests.supervisor.histories import History, queue, running
from worker.protocol import ControlFrame
from worker.slots import Running


def hung(*, started: bool = True) -> History:
    history = History(queue(handlers=1))
    history.all_ready()
    if started:
        running(history, history.handler(0), deadline=history.now - 0.1)
    history.did.clear()
    return history


def complain(history: History, seq: int = 7, *, lease: bool = False) -> None:
    header = {"handler": history.handler(0).uid, "seq": seq, "lease": lease}
    history.says(history.poller(), ControlFrame.OVERDUE, header)


def test_exception_then_stacks_then_kill():
    history = hung()
    handler = history.handler(0)
    complain(history)
    assert history.did == [f"SIGUSR1 handler #{handler.uid}"]
    history.after(0.99)
    assert history.did == []
    history.after(0.02)
    assert history.did == [f"SIGUSR2 handler #{handler.uid}"]
    history.after(0.2)
    assert history.did == [f"kill handler #{handler.uid}"]


def test_the_death_is_told_as_overdue_with_the_stack_and_not_as_caused():
    history = hung()
    handler = history.handler(0)
    complain(history)
    history.after(1.05)
    history.row(handler).stacks = "Thread 0x1 in place_order"
    history.after(1)
    history.reap_killed()
    notice = history.row(history.poller()).sent[-1][1]
    assert (notice["overdue"], notice["caused"], notice["stack"]) == (True, False, "Thread 0x1 in place_order")


def test_an_older_dump_is_not_taken_for_the_stack_of_the_hang():
    history = hung()
    history.row(history.handler(0)).stacks = "an old dump"
    complain(history)
    history.after(1.3)
    history.reap_killed()
    assert history.row(history.poller()).sent[-1][1]["stack"] == ""


def test_who_finishes_after_the_exception_is_left_alone():
    history = hung()
    complain(history)
    history.row(history.handler(0)).running = []
    history.did.clear()
    history.after(10)
    assert history.did == []


def test_who_runs_another_message_by_now_is_left_alone():
    history = hung()
    complain(history)
    running(history, history.handler(0), seq=8, deadline=history.now + 100)
    history.did.clear()
    history.after(10)
    assert history.did == []


def test_who_moves_the_deadline_gets_the_time_and_then_the_ladder_from_its_beginning():
    history = hung()
    handler = history.handler(0)
    complain(history)
    running(history, handler, deadline=history.now + 5)
    history.did.clear()
    history.after(4.9)
    assert history.did == []
    history.after(0.2)
    assert history.did == [f"SIGUSR1 handler #{handler.uid}"]
    history.after(1.3)
    assert history.row(handler).killed


def test_a_message_that_never_started_on_an_idle_handler_ends_it_too():
    history = hung(started=False)
    complain(history)
    history.after(1.3)
    assert history.row(history.handler(0)).killed


def test_a_handler_that_had_not_started_and_makes_progress_is_left_alone():
    history = hung(started=False)
    complain(history)
    history.row(history.handler(0)).done += 1
    history.after(5)
    assert not history.row(history.handler(0)).killed


def test_no_deadline_helps_when_the_lease_ends():
    """Nobody can extend it: the function is stopped though its handler was given more time, or has asked for it."""
    history = hung()
    handler = history.handler(0)
    running(history, handler, deadline=history.now + 100)
    complain(history)
    history.after(1.3)
    assert history.did == []
    complain(history, lease=True)
    assert history.did == [f"SIGUSR1 handler #{handler.uid}"]
    history.after(1.3)
    history.after(0.2)
    assert history.did[-1] == f"kill handler #{handler.uid}"


def test_a_second_complaint_changes_nothing():
    history = hung()
    complain(history)
    history.after(0.5)
    complain(history)
    history.did.clear()
    history.after(0.6)
    assert [command.split()[0] for command in history.did] == ["SIGUSR2"]


def test_a_complaint_about_a_dead_or_foreign_handler_is_ignored():
    history = hung()
    history.says(history.poller(), ControlFrame.OVERDUE, {"handler": 999, "seq": 7})
    spare = history.handlers("spare")[0]
    history.says(history.poller(), ControlFrame.OVERDUE, {"handler": spare.uid, "seq": 7})
    assert history.did == []


def test_a_spare_takes_the_place_of_the_killed_one():
    history = hung()
    spare = history.handlers("spare")[0]
    complain(history)
    history.after(1.3)
    history.reap_killed()
    assert (spare.phase, spare.number) == ("serving", 0)


def test_a_complaint_about_another_message_is_heard_while_the_ladder_of_the_first_waits():
    """The poller complains once. The first message was given more time, and has ended since."""
    history = hung()
    handler = history.handler(0)
    complain(history)
    running(history, handler, deadline=history.now + 50)
    history.after(1.1)
    running(history, handler, seq=8, deadline=history.now - 0.1)
    history.did.clear()
    complain(history, 8)
    assert history.did == [f"SIGUSR1 handler #{handler.uid}"]
    history.after(1.3)
    assert history.row(handler).killed


def test_a_ladder_that_waits_gives_way_to_that_of_another_message():
    """Two run at once: one was given more time, and must not let the other hang for as long."""
    history = hung()
    handler = history.handler(0)
    complain(history)
    row = history.row(handler)
    row.running = [Running(7, history.now, history.now + 50), Running(8, history.now, history.now - 0.1)]
    history.did.clear()
    history.after(1.0)
    assert history.did == [f"SIGUSR1 handler #{handler.uid}"]
    history.after(1.3)
    assert row.killed


def test_a_ladder_that_waits_gives_way_to_a_later_complaint():
    """The other one became late only then."""
    history = hung()
    handler = history.handler(0)
    complain(history)
    row = history.row(handler)
    row.running = [Running(7, history.now, history.now + 50), Running(8, history.now, history.now + 5)]
    history.after(5.1)
    history.did.clear()
    complain(history, 8)
    assert history.did == [f"SIGUSR1 handler #{handler.uid}"]
    history.after(1.3)
    assert row.killed


def test_a_ladder_goes_on_to_the_next_late_message_when_the_first_has_ended():
    """Nobody tells of it once more."""
    history = hung()
    handler = history.handler(0)
    complain(history)
    row = history.row(handler)
    row.running = [Running(8, history.now, history.now - 0.1)]
    history.did.clear()
    history.after(1.0)
    assert history.did == [f"SIGUSR1 handler #{handler.uid}"]
    history.after(1.3)
    assert row.killed


def test_a_ladder_that_climbs_is_not_begun_anew_by_another_message():
    """One kill ends both."""
    history = hung()
    row = history.row(history.handler(0))
    complain(history)
    row.running = [*row.running, Running(8, history.now, history.now - 0.1)]
    history.after(0.9)
    complain(history, 8)
    history.after(0.4)
    assert row.killed
