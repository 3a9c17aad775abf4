"""Test process: what image_pipeline needs of AWS, made for each test; and its parts, imported as their processes do."""

from __future__ import annotations

import importlib
import json
import sys
import uuid
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import boto3
import pytest

from apps.image_pipeline import clients
from apps.image_pipeline.provision import make_bucket, make_state_machine, make_table, make_topic
from tests.apps.conftest import make_queue, take_all

BUCKET = "uploads-of-tests"
TABLE = "images"


class World:
    """Bucket, table, topic and state machine at moto's server, and queues of their own at the strict one."""

    def __init__(self, services: str) -> None:
        self.services = services
        self.sqs = boto3.client("sqs")
        self.s3 = boto3.client("s3")
        self.dynamodb = boto3.client("dynamodb")
        self.stepfunctions = boto3.client("stepfunctions")
        self._sns = boto3.client("sns")
        self._their_sqs = boto3.client("sqs", endpoint_url=services)
        make_bucket(BUCKET)
        self.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        make_table(TABLE)
        self.machine = make_state_machine("images")
        self.topic = make_topic("failed-images")
        self._inbox = self._their_sqs.create_queue(QueueName="failed-images")["QueueUrl"]
        self._sns.subscribe(
            TopicArn=self.topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:000000000000:failed-images"
        )
        run = uuid.uuid4().hex[:8]
        self.dead_letters = make_queue(self.sqs, f"images-dlq-{run}")
        self.events = make_queue(self.sqs, f"images-s3-{run}", dead_letter=self.dead_letters, receives=20)
        self.requests = make_queue(self.sqs, f"images-{run}", dead_letter=self.dead_letters, receives=20)

    def close(self) -> None:
        for client in (self.sqs, self.s3, self.dynamodb, self.stepfunctions, self._sns, self._their_sqs):
            client.close()

    def environment(self) -> dict[str, str]:
        """As the README has it."""
        return {
            "S3_EVENT_QUEUE_URL": self.events,
            "SQS_QUEUE_URL": self.requests,
            "DLQ_URL": self.dead_letters,
            "STEP_FUNCTIONS_ARN": self.machine,
            "DYNAMODB_TABLE": TABLE,
            "SNS_TOPIC_ARN": self.topic,
        }

    def put(self, key: str, metadata: dict[str, str] | None = None) -> str:
        """Puts an object, and gives its version."""
        return str(self.s3.put_object(Bucket=BUCKET, Key=key, Body=b"pixels", Metadata=metadata or {})["VersionId"])

    def executions(self) -> dict[str, Any]:
        """The decoded input of each execution, by its ARN."""
        pages = self.stepfunctions.get_paginator("list_executions").paginate(stateMachineArn=self.machine)
        arns = [one["executionArn"] for page in pages for one in page["executions"]]
        return {arn: json.loads(self.stepfunctions.describe_execution(executionArn=arn)["input"]) for arn in arns}

    def row(self, image_id: str, user_id: str = "u") -> dict[str, Any]:
        """The row of an image, as plain values; empty if there is none."""
        key = {"imageId": {"S": image_id}, "userId": {"S": user_id}}
        return _plain(self.dynamodb.get_item(TableName=TABLE, Key=key, ConsistentRead=True).get("Item", {}))

    def write(self, row: dict[str, Any]) -> None:
        """Puts a row of texts, as somebody else may have."""
        self.dynamodb.put_item(TableName=TABLE, Item={name: {"S": value} for name, value in row.items()})

    def rows(self) -> dict[tuple[str, str], dict[str, Any]]:
        """All of them, by image and user."""
        found = [_plain(one) for one in self.dynamodb.scan(TableName=TABLE, ConsistentRead=True)["Items"]]
        return {(one["imageId"], one["userId"]): one for one in found}

    def alerts(self) -> list[tuple[str, dict[str, Any]]]:
        """Subject and decoded message of what was published, taken out of a queue that subscribes to the topic."""
        published = [json.loads(one["Body"]) for one in take_all(self._their_sqs, self._inbox)]
        return [(one["Subject"], json.loads(one["Message"])) for one in published]


def _plain(item: dict[str, Any]) -> dict[str, Any]:
    return {name: _value(value) for name, value in item.items()}


def _value(typed: dict[str, Any]) -> Any:
    [(kind, value)] = typed.items()
    return {"M": _plain, "N": int}.get(kind, str)(value)


@pytest.fixture
def world(aws_services: str) -> Iterator[World]:
    made = World(aws_services)
    yield made
    made.close()


#: Imports a part: `part("dlq").handle`.
Part = Callable[[str], ModuleType]


@pytest.fixture
def part(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Part]:
    """Imports parts under the world's environment; what they have opened is closed at the end."""
    for name, value in world.environment().items():
        monkeypatch.setenv(name, value)
    loaded = []

    def load(name: str) -> ModuleType:
        full = f"apps.image_pipeline.{name}"
        monkeypatch.delitem(sys.modules, full, raising=False)
        module = importlib.import_module(full)
        loaded.append(module)
        return module

    yield load
    for module in loaded:
        if hasattr(module, "close"):
            module.close()
    clients.close()


def record(key: str, *, version: str, time: str = "2026-01-01T00:00:00.000Z", encoded: bool = False) -> dict[str, Any]:
    """A record of an S3 event; `key` is encoded as S3 does, unless it is already."""
    from urllib.parse import quote_plus

    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": time,
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:somebody"},
        "requestParameters": {"sourceIPAddress": "203.0.113.1"},
        "responseElements": {"x-amz-request-id": "1"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "images",
            "bucket": {"name": BUCKET, "ownerIdentity": {"principalId": "A"}, "arn": f"arn:aws:s3:::{BUCKET}"},
            "object": {
                "key": key if encoded else quote_plus(key, safe="/"),
                "size": 6,
                "eTag": "0" * 32,
                "versionId": version,
                "sequencer": "0055AED6DCD90281E5",
            },
        },
    }


def s3_event(*records: dict[str, Any]) -> dict[str, Any]:
    return {"Records": list(records)}


#: What S3 sends when notifications are set up.
TEST_EVENT = {
    "Service": "Amazon S3",
    "Event": "s3:TestEvent",
    "Time": "2026-01-01T00:00:00.000Z",
    "Bucket": BUCKET,
    "RequestId": "5582815E1AEA5ADF",
    "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR",
}


def in_sns(text: str) -> dict[str, Any]:
    """As a topic without raw message delivery wraps it."""
    return {
        "Type": "Notification",
        "MessageId": "da41e39f-ea4d-435a-b922-c6aae3915ebe",
        "TopicArn": "arn:aws:sns:us-east-1:000000000000:uploads",
        "Subject": "Amazon S3 Notification",
        "Message": text,
        "Timestamp": "2026-01-01T00:00:00.000Z",
        "SignatureVersion": "1",
        "Signature": "EXAMPLE",
        "SigningCertURL": "EXAMPLE",
        "UnsubscribeURL": "EXAMPLE",
    }


def request(image_id: str = "i", *, version: str = "v1", time: str = "2026-01-01T00:00:00.000Z") -> dict[str, Any]:
    """A request, as s3_event makes it."""
    return {
        "imageId": image_id,
        "userId": "u",
        "s3Key": f"uploads/u/{image_id}.png",
        "fileName": f"{image_id}.png",
        "fileSize": 6,
        "fileType": "image/png",
        "uploadTimestamp": time,
        "bucketName": BUCKET,
        "objectVersion": version,
    }
