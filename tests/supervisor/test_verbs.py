"""Test process: requests on the control socket, and answers that teach."""

from __future__ import annotations

import json
import signal

import pytest

from tests.supervisor.histories import History, queue
from worker.supervisor import stacks, verbs


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("", "not JSON"),
        ("status", 'a request is one line such as {"verb":"status"}'),
        ("[]", "no verb None; there are: status, scale, drain, reload, stacks, pause, resume"),
        ('"status"', "no verb None"),
        ('{"verb":"stop"}', "no verb 'stop'; there are: status"),
        ('{"verb":["status"]}', "no verb ['status']"),
        ('{"verb":"scale"}', 'scale needs "queue"'),
    ],
)
def test_a_bad_request_is_told_what_a_good_one_is(line: str, text: str):
    answer = History(queue()).ask(line)
    assert answer["ok"] is False
    assert text in answer["error"]


def test_stacks_are_answered_when_they_are_written_and_nobody_waits():
    history = History(queue(handlers=1, spares=0))
    history.all_ready()
    answers: list[object] = []
    verbs.ask(history.pool, b'{"verb":"stacks"}', answers.append, now=history.now)
    history.turn()
    assert [command.split()[0] for command in history.did[-2:]] == ["SIGUSR2", "SIGUSR2"]
    history.row(history.handler(0)).stacks = "Thread 0x2"
    history.after(0.2)
    assert answers == []
    history.after(0.2)
    poller = {"child": "poller", "queue": "orders", "number": 0, "pid": history.poller().pid, "text": ""}
    handler = {"child": "handler", "queue": "orders", "number": 0, "pid": history.handler(0).pid, "text": "Thread 0x2"}
    assert answers == [{"ok": True, "stacks": [poller, handler]}]


def test_a_child_that_dies_while_its_stacks_are_written_is_an_empty_answer():
    history = History(queue(handlers=1, spares=0))
    history.all_ready()
    answers: list[dict[str, object]] = []
    stacks.request(history.pool, lambda texts: answers.extend(texts), now=history.now)
    history.turn()
    history.die(*history.handlers(), by=9)
    history.after(0.4)
    assert [answer["text"] for answer in answers] == ["", ""]


def test_two_who_ask_for_stacks_at_once_both_get_an_answer():
    history = History(queue(handlers=1, spares=0))
    history.all_ready()
    got: list[int] = []
    for number in (1, 2):
        stacks.request(history.pool, lambda _, number=number: got.append(number), now=history.now)  # type: ignore[misc]
    history.after(1)
    assert got == [1, 2]


def test_status_is_json():
    history = History(queue())
    history.all_ready()
    assert json.loads(json.dumps(history.ask('{"verb":"status"}')))["ok"] is True


def test_reload_of_a_draining_pool_is_refused():
    history = History(queue())
    history.signal(signal.SIGTERM)
    assert history.ask('{"verb":"reload"}') == {"ok": False, "error": "the pool is draining, which nothing undoes"}


def test_reload_answers_that_it_has_begun():
    history = History(queue())
    history.all_ready()
    assert history.ask('{"verb":"reload"}') == {"ok": True, "state": "reloading"}
