"""Fixtures of the producers' tests: queues of the strict SQS server, what is in them, and its fault plan."""

from __future__ import annotations

import base64
import itertools
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import boto3
import pytest

from worker.producer.producer import Producer
from worker.testing.sqs_server.process import SqsServerProcess

FIFO = {"FifoQueue": "true"}


class Queue:
    """One queue of a test."""

    def __init__(self, sqs: Any, server: SqsServerProcess, url: str) -> None:
        self._sqs = sqs
        self._server = server
        self.url = url
        self.name = url.rpartition("/")[2]

    def messages(self) -> list[dict[str, Any]]:
        """All that are in it, each received and deleted, in the order of the queue."""
        found: list[dict[str, Any]] = []
        while True:
            answer = self._sqs.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=10,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
            if not answer.get("Messages"):
                return found
            for message in answer["Messages"]:
                found.append(message)
                self._sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])

    def bodies(self) -> list[str]:
        """Of the messages."""
        return [message["Body"] for message in self.messages()]

    def send_by_boto3(self, body: str, attributes: Mapping[str, Mapping[str, str]]) -> None:
        """With attributes as SQS's JSON has them. Raises ClientError."""
        typed = {
            name: {key: base64.b64decode(value) if key == "BinaryValue" else value for key, value in one.items()}
            for name, one in attributes.items()
        }
        self._sqs.send_message(QueueUrl=self.url, MessageBody=body, MessageAttributes=typed)

    def depth(self) -> int:
        """Messages in it, without receiving any."""
        return sum(self._server.queues()[self.name].values())

    def batches(self) -> list[int]:
        """How many messages each request brought that sent any, in their order."""
        sends = [event for event in self._server.events() if event["event"] == "send" and event["queue"] == self.name]
        requests = itertools.groupby(sends, key=lambda event: (event["connection"], event["request"]))
        return [len(list(events)) for _, events in requests]


@pytest.fixture
def make_queue(sqs_endpoint: str, sqs_server: SqsServerProcess) -> Iterator[Callable[..., Queue]]:
    """Makes queues; keyword arguments are their attributes."""
    sqs: Any = boto3.client("sqs")

    def make(**attributes: str) -> Queue:
        name = f"p-{uuid.uuid4().hex}{'.fifo' if attributes.get('FifoQueue') else ''}"
        return Queue(sqs, sqs_server, sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])

    yield make
    sqs.close()


@pytest.fixture
def queue(make_queue: Callable[..., Queue]) -> Queue:
    """A standard queue."""
    return make_queue()


@pytest.fixture
def fifo(make_queue: Callable[..., Queue]) -> Queue:
    """A FIFO queue without content-based deduplication."""
    return make_queue(**FIFO)


@pytest.fixture
def faults(sqs_server: SqsServerProcess) -> Iterator[Callable[..., None]]:
    """Puts one rule about SendMessageBatch into the fault plan, which is empty again after the test."""

    def set_fault(effect: str, **fields: Any) -> None:
        sqs_server.set_faults({"effect": effect, "action": "SendMessageBatch", **fields})

    yield set_fault
    sqs_server.clear_faults()


@pytest.fixture
def producers() -> Iterator[Callable[..., Producer]]:
    """Makes producers, and closes them."""
    made: list[Producer] = []

    def make(queue: str, **fields: Any) -> Producer:
        made.append(Producer(queue, **fields))
        return made[-1]

    yield make
    for one in made:
        one.close()
