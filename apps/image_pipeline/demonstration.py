"""Command line: how `worker demo image_pipeline` shows this application."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import boto3

from apps.image_pipeline.provision import make_bucket, make_state_machine, make_table, make_topic
from worker import Producer
from worker.testing.demonstration import Demonstration, DemonstrationQueue

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_BUCKET, _TABLE, _NAME = "uploads", "images", "image-pipeline"
_ACCOUNT, _REGION = "000000000000", "us-east-1"
_MACHINE = f"arn:aws:states:{_REGION}:{_ACCOUNT}:stateMachine:{_NAME}"
_TOPIC = f"arn:aws:sns:{_REGION}:{_ACCOUNT}:{_NAME}"
_TYPES = ("jpg", "png", "gif", "JPEG", "webp")
#: By its number, an event is one of these, else a good upload: (of so many, this one).
_AGAIN, _NO_IMAGE, _CUT, _HALF = (10, 7), (100, 20), (100, 50), (100, 80)
#: moto takes one upload after the other as slowly as it likes; a few at a time are faster.
_AT_ONCE = 4


def environment(urls: Mapping[str, str]) -> dict[str, str]:
    """The variables of the README."""
    return {
        "S3_EVENT_QUEUE_URL": urls["S3EventQueue"],
        "SQS_QUEUE_URL": urls["ImageQueue"],
        "SQS_QUEUE_NAME": "ImageQueue",
        "DLQ_URL": urls["ImageDLQ"],
        "STEP_FUNCTIONS_ARN": _MACHINE,
        "DYNAMODB_TABLE": _TABLE,
        "SNS_TOPIC_ARN": _TOPIC,
    }


def prepare() -> None:
    """Bucket, table, state machine and topic; and a queue that subscribes to it, in moto's own SQS, for counting."""
    make_bucket(_BUCKET)
    make_table(_TABLE)
    make_state_machine(_NAME)
    make_topic(_NAME)
    boto3.client("sqs", endpoint_url=os.environ["AWS_ENDPOINT_URL"]).create_queue(QueueName=_NAME)
    boto3.client("sns").subscribe(TopicArn=_TOPIC, Protocol="sqs", Endpoint=f"arn:aws:sqs:{_REGION}:{_ACCOUNT}:{_NAME}")


def send(count: int) -> int:
    """Puts objects, and sends what S3 would send of them; some events come twice, and a few messages are broken."""
    s3 = boto3.client("s3")
    with (
        ThreadPoolExecutor(_AT_ONCE) as uploads,
        Producer(os.environ["S3_EVENT_QUEUE_URL"]) as events,
        Producer(os.environ["SQS_QUEUE_URL"]) as requests,
    ):
        sent = []
        for number, event in enumerate(uploads.map(lambda number: _upload(s3, number), range(count))):
            if _is(number, _HALF):
                half = {"imageId": f"half-{number}", "userId": "somebody", "bucketName": _BUCKET}
                sent.append(requests.send(json.dumps(half)))
            else:
                text = json.dumps(event)
                sent.append(events.send(text[:-10] if _is(number, _CUT) else text))
    for one in sent:
        one.result()
    s3.close()
    return len(sent)


def _upload(s3: S3Client, number: int) -> dict[str, Any]:
    """Puts an object, and gives its S3 event."""
    if _is(number, _AGAIN):
        number -= 1  # S3 delivers at least once: the event before comes again
    top = "thumbnails" if _is(number, _NO_IMAGE) else "uploads"
    key = f"{top}/user {number % 50}/image-{number}.{_TYPES[number % len(_TYPES)]}"
    body = b"pixels of " + str(number).encode()
    s3.put_object(Bucket=_BUCKET, Key=key, Body=body, Metadata={"camera": f"model-{number % 3}"})
    # No versionId, as of a bucket without versioning: an event that comes twice has the same sequencer.
    stored = {"key": quote_plus(key, safe="/"), "size": len(body), "eTag": "", "sequencer": f"{number:018X}"}
    about = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": _REGION,
        "eventTime": f"2025-01-01T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}.000Z",
        "eventName": "ObjectCreated:Put",
    }
    return {"Records": [about | {"s3": {"bucket": {"name": _BUCKET}, "object": stored}}]}


def counts() -> dict[str, int]:
    """Executions, rows by their status, and alerts."""
    machine = boto3.client("stepfunctions")
    pages = machine.get_paginator("list_executions").paginate(stateMachineArn=_MACHINE)
    # By their ARNs: of two requests at the same moment moto starts the same execution twice, which AWS never does.
    arns = {one["executionArn"] for page in pages for one in page["executions"]}
    found = {"executions": len(arns), "processing": 0, "failed": 0}
    for status in _statuses():
        found[status] = found.get(status, 0) + 1
    inbox = boto3.client("sqs", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    url = inbox.get_queue_url(QueueName=_NAME)["QueueUrl"]
    depth = inbox.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
    return found | {"alerts": int(depth["ApproximateNumberOfMessages"])}


def _statuses() -> Iterator[str]:
    pages = boto3.client("dynamodb").get_paginator("scan").paginate(TableName=_TABLE, ConsistentRead=True)
    for page in pages:
        for item in page["Items"]:
            yield item["status"]["S"]


def faults(sent: int, counts: Mapping[str, int]) -> Sequence[str]:
    """One execution and one row for each image, an alert for each broken message; half a request is a failed row."""
    halves = sum(_is(number, _HALF) for number in range(sent))
    broken = halves + sum(_is(number, _NO_IMAGE) or _is(number, _CUT) for number in range(sent))
    images = sent - broken - sum(_is(number, _AGAIN) for number in range(sent))
    expected = {"executions": images, "processing": images, "failed": halves}
    wrong = [
        f"{counts.get(name, 0):,} {name} instead of {number:,}"
        for name, number in expected.items()
        if counts.get(name, 0) != number
    ]
    # An alert whose letter was not deleted in time comes again.
    if counts.get("alerts", 0) < broken:
        wrong.append(f"{counts.get('alerts', 0):,} alerts for {broken:,} broken messages")
    return wrong


def _is(number: int, kind: tuple[int, int]) -> bool:
    return number % kind[0] == kind[1]


DEMONSTRATION = Demonstration(
    about="uploaded images start executions and get rows; events come twice, and what is broken is marked and told",
    queues=(
        DemonstrationQueue(name="S3EventQueue", dead_letter="ImageDLQ"),
        DemonstrationQueue(name="ImageQueue", dead_letter="ImageDLQ"),
        DemonstrationQueue(name="ImageDLQ"),
    ),
    environment=environment,
    services=True,
    prepare=prepare,
    send=send,
    counts=counts,
    faults=faults,
)
