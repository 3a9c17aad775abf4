"""Requests through boto3 to the strict SQS server, and their answers."""

from __future__ import annotations

import base64
import select
import threading
from typing import Any
from uuid import uuid4

import pytest

from tests.aws.conftest import queue_settings, session
from worker.aws.calls import Calls
from worker.policy.failures import FailureKind
from worker.policy.requests import Answer, Delete, Hide, Look, Outgoing, Receive, Request, Send
from worker.testing.sqs_server.process import SqsServerProcess


@pytest.fixture
def url(sqs: Any) -> str:
    """A new queue."""
    return str(sqs.create_queue(QueueName=f"q{uuid4().hex}")["QueueUrl"])


@pytest.fixture
def calls(url: str, aws: str) -> Calls:
    """What a poller of that queue has."""
    own = session(queue_settings(url=url))
    return Calls(url, receiving=own.receiving(2), controlling=own.controlling(2), polls=2, controls=2)


def ask(calls: Calls, *requests: Request) -> list[Answer]:
    """Start all, and wait for the answers; in the order of the requests."""
    for number, request in enumerate(requests):
        calls.start(request, number)
    answers: list[Answer] = []
    while len(answers) < len(requests):
        assert select.select([calls], [], [], 20)[0], "an answer within 20 s"
        answers += calls.answers()
    return sorted(answers, key=lambda answer: int(str(answer.token)))


def test_a_message_comes_with_all_that_sqs_says(calls: Calls, sqs: Any, url: str) -> None:
    """Body as bytes, system attributes, message attributes with binary values as base64."""
    attributes = {
        "kind": {"DataType": "String", "StringValue": "order"},
        "raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    sent = sqs.send_message(QueueUrl=url, MessageBody="grün", MessageAttributes=attributes)
    (answer,) = ask(calls, Receive(10, 1, 30))
    (message,) = answer.messages
    assert message.message_id == sent["MessageId"]
    assert message.body == "grün".encode()
    assert message.intact
    assert message.attributes["ApproximateReceiveCount"] == "1"
    assert message.message_attributes["raw"]["BinaryValue"] == base64.b64encode(b"\x00\xff").decode()
    assert calls.receiving == 0


def test_the_visibility_of_a_receive_is_ours(calls: Calls, sqs: Any, url: str) -> None:
    """Sent on every receive: a queue's default cannot undercut the beats."""
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "0"})
    sqs.send_message(QueueUrl=url, MessageBody="a")
    ask(calls, Receive(1, 0, 30))
    (again,) = ask(calls, Receive(1, 0, 30))
    assert again.messages == ()


def test_of_a_batch_each_entry_has_its_own_answer(calls: Calls, sqs: Any, url: str) -> None:
    """In order, None where it is confirmed; an unknown receipt is a lost lease."""
    for body in "ab":
        sqs.send_message(QueueUrl=url, MessageBody=body)
    (answer,) = ask(calls, Receive(10, 1, 30))
    first, second = (message.receipt for message in answer.messages)
    hidden, deleted = ask(calls, Hide(((first, 60), ("nonsense", 60))), Delete((second, "nonsense")))
    for batch in (hidden, deleted):
        good, bad = batch.entries
        assert good is None
        assert bad is not None
        assert bad.kind is FailureKind.LEASE
        assert bad.kind.final
    assert (
        sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"][
            "ApproximateNumberOfMessagesNotVisible"
        ]
        == "1"
    )


def test_a_send_goes_to_a_queue_by_url_or_name(calls: Calls, sqs: Any) -> None:
    """With attributes; a queue that does not exist is a failure of the whole request."""
    name = f"q{uuid4().hex}"
    target = sqs.create_queue(QueueName=name)["QueueUrl"]
    attributes = {"raw": {"DataType": "Binary", "BinaryValue": base64.b64encode(b"\x01").decode()}}
    outgoing = Outgoing(b"body", attributes)
    answers = ask(calls, Send(target, (outgoing,)), Send(name, (outgoing,)), Send("nowhere", (outgoing,)))
    assert [answer.entries for answer in answers[:2]] == [(None,), (None,)]
    assert answers[2].failure is not None
    assert answers[2].failure.kind is FailureKind.QUEUE_GONE
    received = sqs.receive_message(QueueUrl=target, MaxNumberOfMessages=10, MessageAttributeNames=["All"])["Messages"]
    assert [one["MessageAttributes"]["raw"]["BinaryValue"] for one in received] == [b"\x01"] * 2


def test_a_look_tells_the_depth(calls: Calls, sqs: Any, url: str) -> None:
    """Messages that wait, and those in flight."""
    for number in range(5):
        sqs.send_message(QueueUrl=url, MessageBody=f"{number}")
    ask(calls, Receive(2, 0, 30))
    (answer,) = ask(calls, Look())
    assert answer.depth == (3, 2)


def test_a_denied_look_is_an_answer_too(calls: Calls, sqs_server: SqsServerProcess) -> None:
    """Without a depth."""
    fault = {"effect": "error", "shape": "AccessDenied", "status": 403, "action": "GetQueueAttributes", "count": 1}
    sqs_server.set_faults(fault)
    (answer,) = ask(calls, Look())
    sqs_server.clear_faults()
    assert (answer.depth, answer.failure and answer.failure.kind) == (None, FailureKind.DENIED)


def test_a_waiting_poll_holds_up_nothing(calls: Calls, sqs: Any, url: str) -> None:
    """Deletes and beats go through while long polls wait, on their own client and threads."""
    calls.start(Receive(1, 20, 30), "poll")
    calls.start(Hide((("nonsense", 1),)), "beat")
    assert select.select([calls], [], [], 10)[0]
    (answer,) = calls.answers()
    assert answer.token == "beat"
    assert (calls.receiving, calls.settling) == (1, 0)
    sqs.send_message(QueueUrl=url, MessageBody="ends the poll")
    assert select.select([calls], [], [], 10)[0]
    assert [answer.token for answer in calls.answers()] == ["poll"]


def test_threads_are_as_many_as_calls_and_never_more_than_allowed(calls: Calls) -> None:
    """Two of each kind here, and one that keeps the deadlines."""
    before = threading.active_count()
    ask(calls, *[Hide((("nonsense", 1),)) for _ in range(10)])
    assert threading.active_count() - before <= 3


def test_a_dead_endpoint_is_an_answer_too(aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transient failure, with a text for operators."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:9")
    url = "http://127.0.0.1:9/000000000000/q"
    own = session(queue_settings(url=url))
    calls = Calls(url, receiving=own.receiving(1), controlling=own.controlling(1), polls=1, controls=1)
    for answer in ask(calls, Receive(1, 0, 30), Delete(("x",))):
        assert answer.failure is not None
        assert answer.failure.kind is FailureKind.TRANSIENT
        assert "127.0.0.1:9" in answer.failure.text
