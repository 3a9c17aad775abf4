"""Test process: more and fewer handlers, receiving paused and resumed."""

from __future__ import annotations

import signal

import pytest

from tests.supervisor.histories import History, queue
from worker.protocol import ControlFrame


def booted(*queues: object) -> History:
    history = History(*(queues or (queue(handlers=2),)))  # type: ignore[arg-type]
    history.all_ready()
    history.did.clear()
    return history


def scale(history: History, handlers: object, name: str = "orders") -> dict[str, object]:
    return history.ask(f'{{"verb":"scale","queue":"{name}","handlers":{handlers}}}')


def test_scaling_up_promotes_the_spare_and_starts_a_new_one():
    history = booted()
    spare = history.handlers("spare")[0]
    assert scale(history, 3) == {"ok": True, "queue": "orders", "handlers": 3}
    did = history.did
    assert did[0] == f"link poller 0 handler #{spare.uid}"
    assert [command.split()[0] for command in did] == ["link", "spawn"]
    assert spare.number == 2


def test_scaling_up_further_than_the_spares_reach_starts_the_rest():
    history = booted()
    scale(history, 6)
    assert len(history.handlers("starting")) == 4
    history.all_ready()
    assert [h.number for h in history.handlers("serving")] == [0, 1, 2, 3, 4, 5]


def test_scaling_down_empties_a_handler_before_it_is_stopped():
    history = booted(queue(handlers=3))
    leaver = history.handler(2)
    scale(history, 2)
    assert history.did == ["DETACH poller 0"]
    assert history.row(history.poller()).sent[-1] == ("DETACH", {"handler": leaver.uid})
    history.says(history.poller(), ControlFrame.DETACHED, {"handler": leaver.uid})
    assert history.did == [f"STOP handler #{leaver.uid}"]
    history.die(leaver, code=0)
    notice = history.row(history.poller()).sent[-1][1]
    assert (notice["handler"], notice["caused"]) == (leaver.uid, True)
    assert len(history.handlers("serving")) == 2
    assert len(history.handlers("spare")) == 1


def test_a_leaver_that_dies_while_it_is_emptied_is_not_replaced():
    history = booted(queue(handlers=3))
    leaver = history.handler(2)
    scale(history, 2)
    history.did.clear()
    history.die(leaver, by=9)
    assert history.did == ["DIED poller 0"]


def test_the_successor_of_a_poller_is_asked_to_empty_the_leavers_too():
    history = booted(queue(handlers=3))
    leaver = history.handler(2)
    scale(history, 2)
    history.die(history.poller(), by=9)
    assert leaver.poller is history.poller()
    assert ("DETACH", {"handler": leaver.uid}) in history.row(history.poller()).sent


def test_scaling_down_and_up_again_at_once_ends_with_the_right_number():
    history = booted(queue(handlers=3))
    for handlers in (1, 3, 1, 4, 2):
        scale(history, handlers)
        history.all_ready()
    for leaver in history.handlers("leaving"):
        history.says(history.poller(), ControlFrame.DETACHED, {"handler": leaver.uid})
    history.stop_obeyed()
    history.all_ready()
    assert [h.number for h in history.handlers("serving")] == [0, 1]
    assert len(history.handlers()) == 3


def test_handlers_that_boot_for_a_number_that_is_wanted_no_more_are_ended():
    history = booted()
    scale(history, 9)
    scale(history, 2)
    assert len(history.handlers("starting", "spare", "serving")) <= 4
    history.reap_killed()
    history.all_ready()
    for leaver in history.handlers("leaving"):
        history.says(history.poller(), ControlFrame.DETACHED, {"handler": leaver.uid})
    history.stop_obeyed()
    assert len(history.handlers()) == 3


@pytest.mark.parametrize(
    ("handlers", "text"),
    [(0, "without handlers is stopped by `drain`"), (1001, "2 to 1000"), (1, "each of its 2 pollers")],
)
def test_a_number_that_cannot_be_is_refused_with_the_reason(handlers: int, text: str):
    pollers = 1 if handlers == 0 else 2
    history = booted(queue(handlers=2, pollers=pollers))
    answer = scale(history, handlers)
    assert answer["ok"] is False
    assert text in str(answer["error"])
    assert history.set().wanted == 2


def test_an_unknown_queue_is_refused_with_the_known_ones():
    history = booted(queue("orders"), queue("mails"))
    answer = scale(history, 3, "order")
    assert answer == {"ok": False, "error": "no queue 'order' is running; running are: mails, orders"}


@pytest.mark.parametrize("handlers", ['"3"', "null", "true", "2.5"])
def test_a_number_that_is_none_is_refused(handlers: str):
    answer = scale(booted(), handlers)
    assert answer == {"ok": False, "error": 'scale needs "queue", a table name, and "handlers", a whole number'}


def test_ttin_and_ttou_change_every_queue_by_one():
    history = booted(queue("orders", handlers=2), queue("mails", handlers=3))
    history.signal(signal.SIGTTIN)
    assert [s.wanted for s in history.pool.sets] == [3, 4]
    for _ in range(2):
        history.signal(signal.SIGTTOU)
    assert [s.wanted for s in history.pool.sets] == [1, 2]


def test_ttou_never_goes_below_one_handler_or_the_number_of_pollers():
    history = booted(queue("orders", handlers=2), queue("mails", handlers=3, pollers=2))
    for _ in range(5):
        history.signal(signal.SIGTTOU)
    assert [s.wanted for s in history.pool.sets] == [1, 2]


def test_the_scaled_number_survives_deaths():
    history = booted()
    scale(history, 4)
    history.all_ready()
    history.die(*history.handlers(), by=9)
    history.all_ready()
    assert len(history.handlers("serving")) == 4


# --- pause and resume


def test_pause_and_resume_are_told_to_every_poller_once():
    history = booted(queue("orders"), queue("mails", pollers=2))
    for _ in range(2):
        assert history.ask('{"verb":"pause"}') == {"ok": True, "state": "paused"}
    assert history.did == ["PAUSE poller 0", "PAUSE poller 0", "PAUSE poller 1"]
    for _ in range(2):
        assert history.ask('{"verb":"resume"}') == {"ok": True, "state": "running"}
    assert history.did == ["RESUME poller 0", "RESUME poller 0", "RESUME poller 1"]


def test_tstp_pauses_and_cont_resumes():
    history = booted()
    history.signal(signal.SIGTSTP)
    assert history.pool.state() == "paused"
    history.signal(signal.SIGCONT)
    assert history.pool.state() == "running"


def test_a_draining_pool_can_be_neither_paused_nor_resumed():
    history = booted()
    history.signal(signal.SIGTERM)
    for verb in ("pause", "resume"):
        assert history.ask(f'{{"verb":"{verb}"}}') == {
            "ok": False,
            "error": "the pool is draining, which nothing undoes",
        }
