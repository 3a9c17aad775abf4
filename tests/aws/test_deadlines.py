"""A call ends by its deadline, however slowly its answer comes: a socket's timeout starts anew with every byte."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.aws.conftest import once, queue_settings, wait
from tests.conftest import eventually
from worker import platform
from worker.aws import calls, lean
from worker.aws.clients import Client
from worker.policy.failures import FailureKind
from worker.policy.requests import Answer, Delete, Hide, Receive, Sqs
from worker.testing.sqs_server.process import SqsServerProcess


@pytest.fixture
def build(
    aws: str,
    sqs: Any,
    monkeypatch: pytest.MonkeyPatch,
    sqs_server: SqsServerProcess,
    client: str,
    clients: Callable[..., Client],
) -> Iterator[Callable[[int], Sqs]]:
    """Makes a client with so many connections of each kind, short of patience, on a queue that holds ten messages."""
    for module in (calls, lean):
        monkeypatch.setattr(module, "POLL_GRACE", 0.8)
        monkeypatch.setattr(module, "CONTROL_TIMEOUT", 0.8)
    monkeypatch.setattr(calls, "CONNECT_TIMEOUT", 0.0)
    url = sqs.create_queue(QueueName="slow")["QueueUrl"]
    for number in range(10):
        sqs.send_message(QueueUrl=url, MessageBody=f"{number}" * 200)

    def make(connections: int) -> Sqs:
        settings = queue_settings(url=url, client=client, polls=connections)
        return clients(settings, controls=connections, endpoint_url=aws).sqs(url)

    yield make
    sqs_server.clear_faults()
    sqs.delete_queue(QueueUrl=url)


@pytest.fixture
def made(build: Callable[[int], Sqs]) -> Sqs:
    """A client with one connection of each kind."""
    return build(1)


def answer(made: Sqs, seconds: float) -> Answer | None:
    """The next answer, if it comes in time."""
    end = platform.now() + seconds
    while platform.now() < end:
        if found := once(made, end - platform.now()):
            return found[0]
    return None


def answers(made: Sqs, count: int) -> list[Answer]:
    """The next answers, at least `count`."""
    found: list[Answer] = []
    while len(found) < count:
        found += wait(made, 5.0)
    return found


def test_a_receive_that_trickles_is_given_up_and_another_can_be_sent(made: Sqs, sqs_server: SqsServerProcess) -> None:
    """At 50 bytes a second it would take minutes, and a drain waits for the polls that are open."""
    sqs_server.set_faults({"effect": "trickle", "bytes_per_second": 50, "action": "ReceiveMessage", "count": 1})
    made.start(Receive(5, wait=0, visibility=30), "slow")
    given_up = answer(made, 3.0)
    assert given_up is not None
    assert given_up.failure is not None
    assert given_up.failure.kind is FailureKind.TRANSIENT
    assert (given_up.token, made.receiving) == ("slow", 0)
    made.start(Receive(5, wait=0, visibility=30), "next")
    found = answer(made, 3.0)
    assert found is not None
    assert (found.token, len(found.messages)) == ("next", 5)


def test_a_settlement_that_trickles_is_given_up_too(made: Sqs, sqs_server: SqsServerProcess) -> None:
    """Its messages are beaten and settled again while their leases last."""
    received = None
    while received is None or not received.messages:  # this machine may be the one that is too slow
        made.start(Receive(10, wait=0, visibility=30), None)
        received = answer(made, 3.0)
    sqs_server.set_faults({"effect": "trickle", "bytes_per_second": 20, "action": "DeleteMessageBatch", "count": 1})
    delete = Delete(tuple(message.receipt for message in received.messages))
    made.start(delete, "slow")
    given_up = answer(made, 3.0)
    assert given_up is not None
    assert given_up.failure is not None
    made.start(delete, "again")
    done = answer(made, 3.0)
    assert done is not None
    assert (done.token, done.failure, done.entries) == ("again", None, (None,) * len(delete.receipts))


def test_what_waits_behind_calls_that_are_given_up_is_served_all_the_same(
    made: Sqs, sqs_server: SqsServerProcess
) -> None:
    """Heartbeats may wait in line for a connection; if each is stuck, nobody else comes to ask for new ones."""
    sqs_server.set_faults(
        {"effect": "trickle", "bytes_per_second": 1, "action": "ChangeMessageVisibilityBatch", "count": 1}
    )
    for token in ("stuck", "first", "second"):
        made.start(Hide((("no receipt", 30),)), token)
    told = answers(made, 3)
    assert [one.token for one in told] == ["stuck", "first", "second"]
    assert told[0].failure is not None
    assert [one.failure for one in told[1:]] == [None, None]
    assert made.settling == 0


def test_calls_that_end_after_they_were_given_up_change_no_count(
    build: Callable[[int], Sqs], sqs_server: SqsServerProcess
) -> None:
    """Three at once: each is answered once, its thread (of boto3) goes, no more than three serve what comes then."""
    made, before = build(3), threading.active_count()
    sqs_server.set_faults({"effect": "delay", "seconds": 1.5, "action": "ChangeMessageVisibilityBatch", "count": 3})
    for token in range(3):
        made.start(Hide((("no receipt", 30),)), token)
    late = answers(made, 3)
    assert {one.token for one in late} == {0, 1, 2}
    assert all(one.failure is not None and one.failure.kind is FailureKind.TRANSIENT for one in late)
    assert made.settling == 0
    eventually(lambda: threading.active_count() <= before + 1, seconds=5)  # the watch of deadlines stays
    for token in range(3, 40):
        made.start(Hide((("no receipt", 30),)), token)
    told = answers(made, 37)
    assert {one.token for one in told} == set(range(3, 40))
    assert all(one.failure is None for one in told)
    assert made.settling == 0
    assert threading.active_count() <= before + 4


def test_an_answer_in_time_is_told_once(made: Sqs) -> None:
    """Whatever the clock says afterwards."""
    made.start(Receive(10, wait=0, visibility=30), "quick")
    found = answer(made, 3.0)
    assert found is not None
    assert found.failure is None
    assert answer(made, 1.0) is None
