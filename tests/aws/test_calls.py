"""Requests through each client to the strict SQS server, and their answers."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from tests.aws.conftest import ask, once, queue_settings, wait
from tests.conftest import eventually
from worker.aws.clients import Client
from worker.policy.failures import FailureKind
from worker.policy.requests import Delete, Hide, Look, Outgoing, Receive, Send, Sqs
from worker.testing.sqs_server.process import SqsServerProcess


@pytest.fixture
def url(sqs: Any) -> str:
    """A new queue."""
    return str(sqs.create_queue(QueueName=f"q{uuid4().hex}")["QueueUrl"])


@pytest.fixture
def calls(url: str, aws: str, client: str, clients: Callable[..., Client]) -> Sqs:
    """What a poller of that queue has."""
    return clients(queue_settings(url=url, client=client, polls=2)).sqs(url)


def test_a_message_comes_with_all_that_sqs_says(calls: Sqs, sqs: Any, url: str) -> None:
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


def test_the_visibility_of_a_receive_is_ours(calls: Sqs, sqs: Any, url: str) -> None:
    """Sent on every receive: a queue's default cannot undercut the beats."""
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "0"})
    sqs.send_message(QueueUrl=url, MessageBody="a")
    ask(calls, Receive(1, 0, 30))
    (again,) = ask(calls, Receive(1, 0, 30))
    assert again.messages == ()


def test_of_a_batch_each_entry_has_its_own_answer(calls: Sqs, sqs: Any, url: str) -> None:
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


def test_a_send_goes_to_a_queue_by_url_or_name(calls: Sqs, sqs: Any) -> None:
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


def test_a_look_tells_the_depth(calls: Sqs, sqs: Any, url: str) -> None:
    """Messages that wait, and those in flight."""
    for number in range(5):
        sqs.send_message(QueueUrl=url, MessageBody=f"{number}")
    ask(calls, Receive(2, 0, 30))
    (answer,) = ask(calls, Look())
    assert answer.depth == (3, 2, 0)


def test_a_denied_look_is_an_answer_too(calls: Sqs, sqs_server: SqsServerProcess) -> None:
    """Without a depth."""
    fault = {"effect": "error", "shape": "AccessDenied", "status": 403, "action": "GetQueueAttributes", "count": 1}
    sqs_server.set_faults(fault)
    (answer,) = ask(calls, Look())
    sqs_server.clear_faults()
    assert (answer.depth, answer.failure and answer.failure.kind) == (None, FailureKind.DENIED)


def test_a_waiting_poll_holds_up_nothing(calls: Sqs, sqs: Any, url: str) -> None:
    """Deletes and beats go through while long polls wait, on their own client and threads."""
    calls.start(Receive(1, 20, 30), "poll")
    calls.start(Hide((("nonsense", 1),)), "beat")
    (answer,) = wait(calls, 10)
    assert answer.token == "beat"
    assert (calls.receiving, calls.settling) == (1, 0)
    sqs.send_message(QueueUrl=url, MessageBody="ends the poll")
    assert [answer.token for answer in wait(calls, 10)] == ["poll"]


def test_threads_are_as_many_as_calls_and_never_more_than_allowed(url: str, clients: Callable[..., Client]) -> None:
    """boto3: two of each kind here, and one that keeps the deadlines."""
    calls = clients(queue_settings(url=url, client="boto3", polls=2)).sqs(url)
    before = threading.active_count()
    ask(calls, *[Hide((("nonsense", 1),)) for _ in range(10)])
    assert threading.active_count() - before <= 3


def test_the_lean_client_keeps_no_thread(url: str, clients: Callable[..., Client]) -> None:
    """Those that looked for credentials and addresses have ended, however many calls are on their way."""
    before = threading.active_count()
    calls = clients(queue_settings(url=url, client="lean", polls=2)).sqs(url)
    ask(calls, *[Hide((("nonsense", 1),)) for _ in range(10)])
    calls.start(Receive(1, 20, 30), "poll")
    once(calls, 1.0)
    eventually(lambda: threading.active_count() == before)
    assert calls.receiving == 1


def test_a_dead_endpoint_is_an_answer_too(
    aws: str, monkeypatch: pytest.MonkeyPatch, client: str, clients: Callable[..., Client]
) -> None:
    """A transient failure, with a text for operators."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:9")
    url = "http://127.0.0.1:9/000000000000/q"
    calls = clients(queue_settings(url=url, client=client, polls=1)).sqs(url)
    for answer in ask(calls, Receive(1, 0, 30), Delete(("x",))):
        assert answer.failure is not None
        assert answer.failure.kind is FailureKind.TRANSIENT
        assert answer.failure.code == "EndpointConnectionError"
        assert "127.0.0.1:9" in answer.failure.text
