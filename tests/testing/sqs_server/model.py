"""Test process: drives the pure model of the SQS server with a clock that the test moves."""

from __future__ import annotations

from typing import Any

import pytest

from worker.testing.sqs_server.actions import call
from worker.testing.sqs_server.broker import Broker, Caller, Options
from worker.testing.sqs_server.errors import SqsError
from worker.testing.sqs_server.events import EventLog
from worker.testing.sqs_server.ids import Ids
from worker.testing.sqs_server.long_polls import LongPoll
from worker.testing.sqs_server.queue import Queue


class Sqs:
    """A broker and its clock; actions are called by name, with the members of their request."""

    def __init__(self, options: Options | None = None) -> None:
        self.now = 1_000_000.0
        self.events = EventLog()
        self.broker = Broker(Ids("test"), options=options, events=self.events)
        self.caller = Caller()

    def call(self, action: str, **request: Any) -> dict[str, Any]:
        """One action; a long poll that would wait is answered as empty at once."""
        answer = call(self.broker, action, request=request, now=self.now, caller=self.caller)
        return {} if isinstance(answer, LongPoll) else answer

    def poll(self, url: str, wait: int, **request: Any) -> LongPoll:
        """A receive that must wait."""
        answer = call(
            self.broker,
            "ReceiveMessage",
            request={"QueueUrl": url, "WaitTimeSeconds": wait, **request},
            now=self.now,
            caller=self.caller,
        )
        assert isinstance(answer, LongPoll)
        return answer

    def refused(self, action: str, **request: Any) -> SqsError:
        """The error that the action answers."""
        with pytest.raises(SqsError) as caught:
            self.call(action, **request)
        return caught.value

    def create(self, name: str = "q", **attributes: str) -> str:
        """A new queue's URL; `.fifo` in the name makes it a FIFO queue."""
        if name.endswith(".fifo"):
            attributes = {"FifoQueue": "true", **attributes}
        url: str = self.call("CreateQueue", QueueName=name, Attributes=attributes)["QueueUrl"]
        return url

    def queue(self, url: str) -> Queue:
        """The queue behind a URL."""
        return self.broker.entry(url, self.caller).queue

    def arn(self, url: str) -> str:
        """The queue's ARN."""
        return self.queue(url).arn

    def send(self, url: str, *bodies: str, **request: Any) -> list[str]:
        """Sends bodies one by one; their message ids."""
        return [self.call("SendMessage", QueueUrl=url, MessageBody=body, **request)["MessageId"] for body in bodies]

    def receive(self, url: str, most: int = 10, **request: Any) -> list[dict[str, Any]]:
        """The messages of one short receive."""
        answer = self.call("ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=most, **request)
        messages: list[dict[str, Any]] = answer.get("Messages", [])
        return messages

    def bodies(self, url: str, most: int = 10, **request: Any) -> list[str]:
        """The bodies of one short receive."""
        return [message["Body"] for message in self.receive(url, most, **request)]

    def one(self, url: str, **request: Any) -> str:
        """Receives one message; its receipt handle."""
        handle: str = self.receive(url, 1, **request)[0]["ReceiptHandle"]
        return handle

    def delete(self, url: str, handle: str) -> None:
        """Deletes by receipt handle."""
        self.call("DeleteMessage", QueueUrl=url, ReceiptHandle=handle)

    def change(self, url: str, handle: str, seconds: int) -> None:
        """Changes a message's visibility."""
        self.call("ChangeMessageVisibility", QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=seconds)

    def depths(self, url: str) -> tuple[int, int, int]:
        """How many are visible, in flight, delayed, as GetQueueAttributes says."""
        attributes = self.call("GetQueueAttributes", QueueUrl=url, AttributeNames=["All"])["Attributes"]
        prefix = "ApproximateNumberOfMessages"
        return int(attributes[prefix]), int(attributes[prefix + "NotVisible"]), int(attributes[prefix + "Delayed"])
