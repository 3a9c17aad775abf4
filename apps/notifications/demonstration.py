"""Command line: how `worker demo notifications` shows this application."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from worker.testing.demonstration import Demonstration, DemonstrationQueue

_TABLE = "notifications"
#: Recipients of one notification after the other, 17 in 7 messages: each recipient is a row, and moto is slow.
_SIZES = (1, 2, 5, 9)
_PER_MESSAGE = 4
#: Of so many messages one is no notification, and goes to a dead-letter queue.
_BROKEN_EVERY = 100


def environment(urls: Mapping[str, str]) -> dict[str, str]:
    """The variables of worker.toml and of handlers.py; those that could lead elsewhere are empty."""
    return {
        "SQS_SEND_QUEUE_URL": urls["send-queue"],
        "SQS_BATCH_QUEUE_URL": urls["batch-queue"],
        "SQS_SEND_DLQ_URL": urls["send-dlq"],
        "SQS_BATCH_DLQ_URL": urls["batch-dlq"],
        "AWS_SQS_ENDPOINT_URL": "",
        "AWS_REGION": "",
        "NOTIFICATIONS_TABLE": _TABLE,
        "RECORDING_FILE": f"{urls['DEMO_FOLDER']}/recording.jsonl",
        "RECIPIENTS_PER_MESSAGE": str(_PER_MESSAGE),
    }


def prepare() -> None:
    """Make the table."""
    import boto3

    from apps.notifications.provision import make_table

    dynamodb = boto3.client("dynamodb")
    make_table(dynamodb, _TABLE)
    dynamodb.close()


def plan(count: int) -> tuple[list[int], int]:
    """The recipients of each notification, and how many broken messages: `count` messages together."""
    broken = count // _BROKEN_EVERY
    left = count - broken
    sizes: list[int] = []
    while left:
        size = _SIZES[len(sizes) % len(_SIZES)]
        messages = -(-size // _PER_MESSAGE)
        if messages > left:
            size, messages = left * _PER_MESSAGE, left
        sizes.append(size)
        left -= messages
    return sizes, broken


def send(count: int) -> int:
    """Send notifications by the service, and the broken ones past it."""
    from apps.notifications.service import send_service
    from worker import Producer, Sending

    sizes, broken = plan(count)
    for number, size in enumerate(sizes):
        recipients = [{"id": f"user-{number}-{place}"} for place in range(size)]
        send_service.send_message_sync(
            content=f"Your order {number} is on its way", channel="recording", recipients=recipients
        )
    with Producer(os.environ["SQS_SEND_QUEUE_URL"]) as producer:
        producer.send_many([Sending(json.dumps({"order": number})) for number in range(broken)])
    return count


def counts() -> dict[str, int]:
    """What the file and the table hold."""
    import boto3

    with open(os.environ["RECORDING_FILE"]) as file:  # noqa: PTH123 - a file of millions of lines is read line by line
        keys = [json.loads(line)["key"] for line in file]
    dynamodb = boto3.client("dynamodb")
    pages: Any = dynamodb.get_paginator("scan").paginate(TableName=_TABLE, Select="COUNT")
    rows = sum(page["Count"] for page in pages)
    dynamodb.close()
    return {"recipients_reached": len(set(keys)), "delivered_twice": len(keys) - len(set(keys)), "rows": rows}


def faults(sent: int, counted: Mapping[str, int]) -> list[str]:
    """Every recipient once, and a row for each."""
    recipients = sum(plan(sent)[0])
    expected = {"recipients_reached": recipients, "delivered_twice": 0, "rows": recipients}
    return [
        f"{name.replace('_', ' ')}: {counted[name]:,} instead of {value:,}"
        for name, value in expected.items()
        if counted[name] != value
    ]


DEMONSTRATION = Demonstration(
    about="notifications to few and to many recipients are recorded in a file, each recipient once; a few are broken",
    queues=(
        DemonstrationQueue(name="send-queue", dead_letter="send-dlq"),
        DemonstrationQueue(name="batch-queue", dead_letter="batch-dlq"),
    ),
    environment=environment,
    services=True,
    scratch=True,
    prepare=prepare,
    send=send,
    counts=counts,
    faults=faults,
)
