"""Command line: makes queues and sends messages for `worker dev` and `worker demo`. The pool never makes a queue."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
_MOST_ENTRIES = 10
#: The same page: bodies and attributes of one batch together, in bytes; entries of that size travel alone.
_MOST_BYTES = 1_048_576
#: Tries of a call; creating and sending are not urgent, and the endpoint is near.
_ATTEMPTS = 3


class NotProvisioned(Exception):
    """A queue could not be made, or a message not be sent; `str()` says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePlan:
    """A queue to make. A name that ends in `.fifo` makes a FIFO queue with content-based deduplication."""

    name: str
    dead_letter: str = ""  #: the name of its dead-letter queue, which is made as well
    receives: int = 5  #: maxReceiveCount, if it has a dead-letter queue
    visibility_timeout: int = 30  #: seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A message to send."""

    body: str
    group_id: str = ""  #: FIFO queues need one
    deduplication_id: str = ""


class Provisioner:
    """Speaks with one endpoint, with credentials that belong to nobody: it can never reach an account by mistake."""

    def __init__(self, endpoint_url: str, *, region: str) -> None:
        self._client: SQSClient = boto3.client(
            "sqs",
            endpoint_url=endpoint_url,
            region_name=region,
            aws_access_key_id="worker",
            aws_secret_access_key="worker",  # noqa: S106 - the embedded SQS takes any
            config=Config(retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"}),
        )

    def make(self, plans: Iterable[QueuePlan]) -> dict[str, str]:
        """Make these queues and their dead-letter queues; the URL of each by name. Raises NotProvisioned."""
        wanted = {plan.name: plan for plan in plans}
        named = {plan.dead_letter for plan in wanted.values() if plan.dead_letter}
        wanted |= {name: QueuePlan(name=name) for name in named if name not in wanted}
        urls = {name: self._create(plan) for name, plan in wanted.items()}
        for plan in wanted.values():
            # Afterwards, since a dead-letter queue may itself have one, and two queues may even name each other.
            if plan.dead_letter:
                self._redrive(urls[plan.name], urls[plan.dead_letter], receives=plan.receives)
        return urls

    def send(self, url: str, messages: Iterable[Sending]) -> Iterator[int]:
        """Send in batches; yields how many were sent after each. Raises NotProvisioned if one was refused."""
        sent = 0
        for batch in _batches(messages):
            entries: list[Any] = [_entry(place, message) for place, message in enumerate(batch)]
            try:
                answer = self._client.send_message_batch(QueueUrl=url, Entries=entries)
            except (ClientError, BotoCoreError) as error:
                raise NotProvisioned(f"cannot send to {url}: {error}") from error
            for failed in answer.get("Failed", []):  # a batch that was answered with 200 can have failed
                raise NotProvisioned(f"cannot send to {url}: {failed['Code']}: {failed.get('Message', '')}")
            sent += len(batch)
            yield sent

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _create(self, plan: QueuePlan) -> str:
        attributes = {"VisibilityTimeout": str(plan.visibility_timeout)}
        if plan.name.endswith(".fifo"):
            attributes |= {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
        try:
            return self._client.create_queue(QueueName=plan.name, Attributes=attributes)["QueueUrl"]  # type: ignore[arg-type]  # the stubs want literal keys
        except (ClientError, BotoCoreError) as error:
            raise NotProvisioned(f"cannot make the queue {plan.name}: {error}") from error

    def _redrive(self, source: str, target: str, *, receives: int) -> None:
        try:
            answer = self._client.get_queue_attributes(QueueUrl=target, AttributeNames=["QueueArn"])
            policy = {"deadLetterTargetArn": answer["Attributes"]["QueueArn"], "maxReceiveCount": receives}
            self._client.set_queue_attributes(QueueUrl=source, Attributes={"RedrivePolicy": json.dumps(policy)})
        except (ClientError, BotoCoreError) as error:
            raise NotProvisioned(f"cannot make {target} the dead-letter queue of {source}: {error}") from error


def _batches(messages: Iterable[Sending]) -> Iterator[Sequence[Sending]]:
    """Up to 10 messages and 1 MiB at a time."""
    batch: list[Sending] = []
    size = 0
    for message in messages:
        length = len(message.body.encode())
        if batch and (len(batch) == _MOST_ENTRIES or size + length > _MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += length
    if batch:
        yield batch


def _entry(place: int, message: Sending) -> dict[str, str]:
    entry = {"Id": str(place), "MessageBody": message.body}
    if message.group_id:
        entry["MessageGroupId"] = message.group_id
    if message.deduplication_id:
        entry["MessageDeduplicationId"] = message.deduplication_id
    return entry
