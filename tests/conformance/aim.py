"""Test process: an SQS to aim the conformance suite at, and the few things that its cases do all the time."""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

ENDPOINT = os.environ.get("CONFORMANCE_ENDPOINT_URL", "")
#: Seconds that AWS may take until counters and lists show what was done; an emulator shows it at once.
SETTLING = 60.0 if ENDPOINT == "aws" else 5.0


@dataclass
class Target:
    """An SQS to speak to, and the queues that were made there."""

    #: A boto3 client, untyped: the suite sends what its types forbid.
    client: Any
    #: Arguments and environment that lead the AWS CLI to the same place.
    cli_arguments: list[str]
    environment: dict[str, str]
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    urls: list[str] = field(default_factory=list)
    _count: int = 0

    def name(self, suffix: str = "") -> str:
        """A queue name that nobody used before."""
        self._count += 1
        return f"conformance-{self.run}-{self._count}{suffix}"

    def queue(self, **attributes: str) -> str:
        """A new standard queue's URL."""
        return self.made(self.name(), attributes)

    def fifo(self, **attributes: str) -> str:
        """A new FIFO queue's URL; it deduplicates by content unless told otherwise."""
        given = {"FifoQueue": "true", "ContentBasedDeduplication": "true", **attributes}
        return self.made(self.name(".fifo"), given)

    def made(self, name: str, attributes: dict[str, str]) -> str:
        """A new queue's URL; it will be deleted."""
        url: str = self.client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        self.urls.append(url)
        return url

    def arn(self, url: str) -> str:
        """The queue's ARN."""
        found = self.client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
        return str(found["QueueArn"])

    def dead_letter_pair(self, most: int, **attributes: str) -> tuple[str, str]:
        """A source queue and its dead-letter queue."""
        dead = self.queue()
        policy = f'{{"deadLetterTargetArn":"{self.arn(dead)}","maxReceiveCount":{most}}}'
        return self.queue(RedrivePolicy=policy, **attributes), dead

    def send(self, url: str, *bodies: str, **members: Any) -> None:
        """Sends bodies one by one; on FIFO queues `group-text` goes to its group."""
        for body in bodies:
            group = {"MessageGroupId": body.partition("-")[0]} if url.endswith(".fifo") else {}
            self.client.send_message(QueueUrl=url, MessageBody=body, **(group | members))

    def receive(self, url: str, most: int = 10, **members: Any) -> list[Any]:
        """The messages of one receive."""
        answer = self.client.receive_message(QueueUrl=url, MaxNumberOfMessages=most, **members)
        return list(answer.get("Messages", []))

    def bodies(self, url: str, most: int = 10, **members: Any) -> list[str]:
        """The bodies of one receive."""
        return [message["Body"] for message in self.receive(url, most, **members)]

    def handles(self, url: str, most: int = 10, **members: Any) -> list[str]:
        """The receipt handles of one receive."""
        return [message["ReceiptHandle"] for message in self.receive(url, most, **members)]

    def refused(self, operation: str, **members: Any) -> dict[str, Any]:
        """The error of an operation that SQS refuses, as boto3 parsed it, with the HTTP status as `Status`."""
        with pytest.raises(ClientError) as caught:
            getattr(self.client, operation)(**members)
        response = caught.value.response
        return {**response["Error"], "Status": response["ResponseMetadata"]["HTTPStatusCode"]}

    def depths(self, url: str) -> tuple[int, int, int]:
        """Messages visible, in flight and delayed, as the attributes say."""
        names = [f"ApproximateNumberOfMessages{suffix}" for suffix in ("", "NotVisible", "Delayed")]
        found = self.client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        visible, in_flight, delayed = (int(found[name]) for name in names)
        return visible, in_flight, delayed

    def wait_for_depths(self, url: str, depths: tuple[int, int, int]) -> None:
        """Waits until the counters say so: AWS's are eventually right."""
        end = time.monotonic() + SETTLING
        while (found := self.depths(url)) != depths:
            assert time.monotonic() < end, f"{found} instead of {depths}"
            time.sleep(0.05)
