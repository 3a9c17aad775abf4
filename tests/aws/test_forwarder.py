"""Forwards without a poller: sent and confirmed, or refused by name; see worker/aws/forwarder.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from worker.aws.errors import Refused
from worker.aws.forwarder import Forwarder
from worker.policy.failures import FailureKind
from worker.policy.requests import Outgoing
from worker.testing.sqs_server.process import SqsServerProcess


@pytest.fixture
def faulty(sqs_server: SqsServerProcess) -> Iterator[SqsServerProcess]:
    """The server; faults end with the test."""
    yield sqs_server
    sqs_server.clear_faults()


def bodies(sqs: Any, url: str) -> list[str]:
    return [one["Body"] for one in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])]


def test_a_queue_is_found_by_url_and_by_name(sqs: Any) -> None:
    """With all that SendMessage takes."""
    name = f"f{uuid4().hex}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    forwarder = Forwarder()
    forwarder.send(url, Outgoing(b"one", {"n": {"DataType": "Number", "StringValue": "4"}}))
    forwarder.send(name, Outgoing(b"two", {}))
    assert sorted(bodies(sqs, url)) == ["one", "two"]
    forwarder.send(url, Outgoing(b"later", {}, delay=900))
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessagesDelayed"] == "1"


@pytest.mark.parametrize(
    "fault",
    [{"effect": "unavailable"}, {"effect": "throttle"}, {"effect": "drop", "when": "before", "how": "reset"}],
    ids=lambda fault: fault["effect"],
)
def test_what_passes_is_tried_once_more(sqs: Any, faulty: SqsServerProcess, fault: dict[str, Any]) -> None:
    """A second failure is the caller's: the source comes again."""
    name = f"f{uuid4().hex}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    forwarder = Forwarder()
    faulty.set_faults(fault | {"action": "SendMessage", "queue": name, "count": 1})
    forwarder.send(url, Outgoing(b"one", {}))
    assert bodies(sqs, url) == ["one"]
    faulty.set_faults(fault | {"action": "SendMessage", "queue": name, "count": 2})
    with pytest.raises(Refused):
        forwarder.send(url, Outgoing(b"two", {}))
    forwarder.send(url, Outgoing(b"three", {}))
    assert bodies(sqs, url) == ["three"]


def test_what_will_not_pass_is_not_tried_again(sqs: Any, faulty: SqsServerProcess) -> None:
    """A denied action, say: one request, and its reason."""
    name = f"f{uuid4().hex}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    fault = {"effect": "error", "shape": "AccessDenied", "status": 403, "message": "no"}
    faulty.set_faults(fault | {"action": "SendMessage", "queue": name, "count": 1})
    with pytest.raises(Refused) as caught:
        Forwarder().send(url, Outgoing(b"one", {}))
    assert caught.value.failure.kind is FailureKind.DENIED
    assert bodies(sqs, url) == []


def test_what_a_refusal_echoes_of_a_message_is_hidden(sqs: Any, faulty: SqsServerProcess) -> None:
    """It is for a log."""
    name = f"f{uuid4().hex}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    said = "no value is like a-secret-value, nor a body like a-secret-body"
    fault = {"effect": "error", "shape": "InvalidMessageContents", "status": 400, "message": said}
    faulty.set_faults(fault | {"action": "SendMessage", "queue": name, "count": 1})
    attributes = {"n": {"DataType": "String", "StringValue": "a-secret-value"}}
    with pytest.raises(Refused) as caught:
        Forwarder().send(url, Outgoing(b"a-secret-body", attributes))
    assert str(caught.value) == "InvalidMessageContents: no value is like (hidden), nor a body like (hidden)"


def test_a_queue_that_is_not_there_is_looked_for_again(sqs: Any) -> None:
    """It may be made meanwhile."""
    name, forwarder = f"f{uuid4().hex}", Forwarder()
    with pytest.raises(Refused) as caught:
        forwarder.send(name, Outgoing(b"one", {}))
    assert caught.value.failure.kind is FailureKind.QUEUE_GONE
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    forwarder.send(name, Outgoing(b"two", {}))
    assert bodies(sqs, url) == ["two"]
