"""Test process: the command that makes queues and table, against the strict SQS server and moto."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from apps.notifications.provision import main

URLS = ("SQS_SEND_DLQ_URL", "SQS_SEND_QUEUE_URL", "SQS_BATCH_DLQ_URL", "SQS_BATCH_QUEUE_URL")


@pytest.fixture
def clean(aws_services: str, sqs_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """SQS without our queues; boto3's own variables know no endpoint of it and no region."""
    sqs = boto3.client("sqs")
    for name in ("send-queue", "send-dlq", "batch-queue", "batch-dlq"):
        for url in sqs.list_queues(QueueNamePrefix=name).get("QueueUrls", []):
            sqs.delete_queue(QueueUrl=url)
    monkeypatch.setenv("AWS_SQS_ENDPOINT_URL", sqs_endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    yield sqs
    sqs.close()


def settings(sqs: Any, url: str) -> dict[str, Any]:
    """The attributes of a queue; its redrive policy as dead-letter queue's name and receives."""
    said = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    policy = json.loads(said.get("RedrivePolicy", "{}"))
    dead_letters = policy.get("deadLetterTargetArn", "").rpartition(":")[2]
    return {
        "visibility": said["VisibilityTimeout"],
        "retention": said["MessageRetentionPeriod"],
        "redrive": (dead_letters, int(policy.get("maxReceiveCount", 0))),
    }


def made(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    assert main() == 0
    return dict(line.split("=", 1) for line in capsys.readouterr().out.splitlines())


def test_queues_and_table_are_made_and_named(clean: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Visibility 300 and 600 s, 14 days, three receives; the output is a `.env` file of what was made."""
    environ = made(capsys)
    assert set(environ) == {*URLS, "NOTIFICATIONS_TABLE"}
    days = str(14 * 86_400)
    seen = {name: settings(clean, environ[name]) for name in URLS}
    assert seen["SQS_SEND_QUEUE_URL"] == {"visibility": "300", "retention": days, "redrive": ("send-dlq", 3)}
    assert seen["SQS_BATCH_QUEUE_URL"] == {"visibility": "600", "retention": days, "redrive": ("batch-dlq", 3)}
    assert {one["retention"] for one in seen.values()} == {days}
    dynamodb = boto3.client("dynamodb", region_name="us-east-1")
    table = dynamodb.describe_table(TableName="notifications")["Table"]
    assert [(key["AttributeName"], key["KeyType"]) for key in table["KeySchema"]] == [
        ("batch_id", "HASH"),
        ("recipient_id", "RANGE"),
    ]
    ttl = dynamodb.describe_time_to_live(TableName="notifications")["TimeToLiveDescription"]
    assert ttl["AttributeName"] == "expires"
    dynamodb.close()


def test_urls_are_at_the_endpoint_that_was_given(
    clean: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, sqs_endpoint: str
) -> None:
    """LocalStack, for one, names a host of its own, which is no name of this machine: plain http to it is refused."""
    monkeypatch.setenv("AWS_SQS_ENDPOINT_URL", sqs_endpoint.replace("127.0.0.1", "localhost"))
    port = sqs_endpoint.rpartition(":")[2]
    environ = made(capsys)
    assert environ["SQS_SEND_QUEUE_URL"] == f"http://localhost:{port}/000000000000/send-queue"
    assert settings(clean, environ["SQS_SEND_QUEUE_URL"])["visibility"] == "300"


def test_it_may_run_again(clean: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The same URLs; what somebody changed is set right, and messages stay."""
    first = made(capsys)
    url = first["SQS_SEND_QUEUE_URL"]
    clean.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "5", "RedrivePolicy": ""})
    clean.send_message(QueueUrl=url, MessageBody="stay")
    assert made(capsys) == first
    assert settings(clean, url)["visibility"] == "300"
    assert settings(clean, url)["redrive"] == ("send-dlq", 3)
    assert clean.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "stay"


def test_the_table_may_have_another_name(
    clean: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """NOTIFICATIONS_TABLE, if it is set."""
    monkeypatch.setenv("NOTIFICATIONS_TABLE", "other")
    assert made(capsys)["NOTIFICATIONS_TABLE"] == "other"


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "http://sqs.example.com"])
def test_what_cannot_be_made_is_said(
    clean: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    """Exit code 1, and a line that says why."""
    monkeypatch.setenv("AWS_SQS_ENDPOINT_URL", endpoint)
    assert main() == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("apps.notifications.provision: ")
    assert endpoint in said.err or "AWS_SQS_ENDPOINT_URL" in said.err
