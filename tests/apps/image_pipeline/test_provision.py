"""Test process: `python -m apps.image_pipeline.provision` in a process of its own, and a pool on what it made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import boto3
import pytest

from tests.apps.conftest import RunApp, depth
from tests.apps.image_pipeline.conftest import record, s3_event

ROOT = Path(__file__).parents[3]


def provision(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "apps.image_pipeline.provision", *arguments]
    environ = os.environ | environment
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.system
@pytest.mark.usefixtures("aws_services")
def test_a_pool_runs_on_what_was_made(run_app: RunApp) -> None:
    """Twice over it prints the same variables, and with them an event becomes a row."""
    prefix = f"try-{uuid.uuid4().hex[:8]}"
    first, second = (provision("--prefix", prefix) for _ in range(2))
    assert (first.returncode, first.stderr) == (0, "")
    assert (second.returncode, second.stdout) == (0, first.stdout)
    variables = dict(line.split("=", 1) for line in first.stdout.splitlines())
    sqs, dynamodb = boto3.client("sqs"), boto3.client("dynamodb")
    for name in ("S3_EVENT_QUEUE_URL", "SQS_QUEUE_URL"):
        made = sqs.get_queue_attributes(QueueUrl=variables[name], AttributeNames=["All"])["Attributes"]
        assert json.loads(made["RedrivePolicy"])["deadLetterTargetArn"].endswith(f":{prefix}-dlq")
        assert made["MessageRetentionPeriod"] == "1209600"
    event = s3_event(record("uploads/u/i.png", version="1"))
    sqs.send_message(QueueUrl=variables["S3_EVENT_QUEUE_URL"], MessageBody=json.dumps(event))
    key = {"imageId": {"S": "i"}, "userId": {"S": "u"}}
    sets = [f"queues.{name}.wait=1" for name in ("s3-event", "orchestrator", "dlq")]
    with run_app("image_pipeline", variables, sets=sets) as pool:
        pool.until(lambda: "Item" in dynamodb.get_item(TableName=prefix, Key=key, ConsistentRead=True))
        pool.until(lambda: depth(sqs, variables["SQS_QUEUE_URL"]) == (0, 0))
        pool.drain()
    sqs.close()
    dynamodb.close()


def test_s3_may_send_to_its_queue_where_both_are_one_aws(aws_services: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue's policy lets this bucket in, and the bucket notifies of uploads."""
    monkeypatch.delenv("AWS_ENDPOINT_URL_SQS")
    done = provision("--prefix", "whole", "--bucket", "whole-bucket")
    assert (done.returncode, done.stderr) == (0, "")
    s3, sqs = boto3.client("s3"), boto3.client("sqs")
    [told] = s3.get_bucket_notification_configuration(Bucket="whole-bucket")["QueueConfigurations"]
    assert told["QueueArn"].endswith(":whole-s3-events")
    assert told["Events"] == ["s3:ObjectCreated:*"]
    assert told["Filter"]["Key"]["FilterRules"] == [{"Name": "prefix", "Value": "uploads/"}]
    url = sqs.get_queue_url(QueueName="whole-s3-events")["QueueUrl"]
    policy = json.loads(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"])
    [statement] = policy["Statement"]
    assert statement["Condition"] == {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::whole-bucket"}}
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"}
    s3.close()
    sqs.close()


def test_what_fails_has_a_code_and_a_reason(aws_services: str) -> None:
    """Wrong arguments are 64, a service that is not there 69; no traceback."""
    assert provision("--prefx", "x").returncode == 64
    done = provision(AWS_ENDPOINT_URL_S3="http://127.0.0.1:1", AWS_MAX_ATTEMPTS="1")
    assert (done.returncode, done.stdout) == (69, "")
    assert "Could not connect" in done.stderr
    assert "Traceback" not in done.stderr
