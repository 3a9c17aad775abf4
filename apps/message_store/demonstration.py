"""Command line: how `worker demo message_store` shows this application."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3

from worker.testing.demonstration import Demonstration, DemonstrationQueue

_QUEUE, _TABLE = "messages.fifo", "message-store"
_GROUPS = 20
#: Of so many messages one repeats the key of the one before it in its group, and one is cut short.
_REPEATED_EVERY, _BROKEN_EVERY = 25, 50
_METRICS = ("MessagesSaved", "DuplicateMessages", "InvalidMessages", "MessagesDeleted")
_BATCH = 10


def messages(count: int) -> Iterator[tuple[str, str]]:
    """Group and body of each."""
    for number in range(count):
        group = number % _GROUPS
        repeats = number % _REPEATED_EVERY == _REPEATED_EVERY - 1 and number >= _GROUPS
        body = json.dumps({"message_id": f"order-{number - _GROUPS if repeats else number}", "amount": number})
        yield f"customer-{group}", body[:-5] if _is_broken(number) else body


def _is_broken(number: int) -> bool:
    return number % _BROKEN_EVERY == 12


def prepare() -> None:
    """The table, as the README makes it, and a CloudWatch that is awake."""
    boto3.client("dynamodb").create_table(
        TableName=_TABLE,
        KeySchema=[{"AttributeName": "message_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "message_id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    # moto loads a service at its first call, which takes longer than the timeouts of handlers and pollers may allow.
    boto3.client("cloudwatch").list_metrics()


def send(count: int) -> int:
    """In batches; each message has a deduplication id of its own, so that SQS removes none of the repeated ones."""
    sqs, sent = boto3.client("sqs"), 0
    entries: list[Any] = [
        {"Id": str(place), "MessageBody": body, "MessageGroupId": group, "MessageDeduplicationId": str(place)}
        for place, (group, body) in enumerate(messages(count))
    ]
    for start in range(0, count, _BATCH):
        answer = sqs.send_message_batch(QueueUrl=os.environ["QUEUE_URL"], Entries=entries[start : start + _BATCH])
        sent += len(answer["Successful"])
    return sent


def counts() -> dict[str, int]:
    """The items in the table, and the sums of the metrics in CloudWatch."""
    pages = boto3.client("dynamodb").get_paginator("scan").paginate(TableName=_TABLE, ConsistentRead=True)
    return {"items": sum(len(page["Items"]) for page in pages), **{name: _sum(name) for name in _METRICS}}


def _sum(metric: str) -> int:
    now = datetime.now(UTC)
    points = boto3.client("cloudwatch").get_metric_statistics(
        Namespace="MessageStore",
        MetricName=metric,
        Dimensions=[{"Name": "QueueName", "Value": _QUEUE}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=7200,
        Statistics=["Sum"],
    )["Datapoints"]
    return int(sum(point["Sum"] for point in points))


def faults(sent: int, counts: Mapping[str, int]) -> Sequence[str]:
    """Each key has one item, and each message is counted once."""
    good = [json.loads(body) for number, (_, body) in enumerate(messages(sent)) if not _is_broken(number)]
    keys = {one["message_id"] for one in good}
    expected = {
        "items": len(keys),
        "MessagesSaved": len(keys),
        "DuplicateMessages": len(good) - len(keys),
        "InvalidMessages": sent - len(good),
        "MessagesDeleted": sent,
    }
    return [f"{name} is {counts[name]:,}, not {value:,}" for name, value in expected.items() if counts[name] != value]


def environment(urls: Mapping[str, str]) -> dict[str, str]:
    """The variables of worker.toml and services.py."""
    return {"QUEUE_URL": urls[_QUEUE], "QUEUE_NAME": "", "DYNAMO_TABLE": _TABLE, "REGION": "us-east-1"}


DEMONSTRATION = Demonstration(
    about="messages of a FIFO queue become items of a table, each key once; some come twice, some are broken",
    queues=(DemonstrationQueue(name=_QUEUE, dead_letter="messages-dlq.fifo"),),
    environment=environment,
    services=True,
    prepare=prepare,
    send=send,
    counts=counts,
    faults=faults,
)
