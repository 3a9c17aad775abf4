"""Test process: message_status as it is run, `worker run` in processes of its own against the SQS server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.conftest import eventually

ROOT = Path(__file__).parents[3]
COUNT = 40

pytestmark = pytest.mark.system


def make_queues(sqs: Any) -> dict[str, str]:
    """As the README makes them: DLQ is StatusUpdateQueue's dead-letter queue, and has one of its own."""
    urls: dict[str, str] = {}
    for name, target in {"EventQueue": "", "DLQ-dlq": "", "DLQ": "DLQ-dlq", "StatusUpdateQueue": "DLQ"}.items():
        attributes = {}
        if target:
            arn = sqs.get_queue_attributes(QueueUrl=urls[target], AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
            attributes["RedrivePolicy"] = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
        urls[name] = sqs.create_queue(QueueName=f"message-status-{name}", Attributes=attributes)["QueueUrl"]
    return urls


def status(number: int, kind: str) -> dict[str, Any]:
    response = {"code": number, "big": 2**80, "text": "Zoë \u2603", "nothing": None}
    return {
        "snsMessageId": f"{kind}-{number}",
        "deliveryStatus": "SUCCESS",
        "providerResponse": response,
        "timestamp": 1.5,
    }


def take_all(sqs: Any, url: str) -> list[str]:
    """Every body of a queue, taken out."""
    bodies = []
    while received := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        for message in received:
            bodies.append(message["Body"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return bodies


@pytest.mark.usefixtures("sqs_endpoint")
def test_statuses_of_both_queues_become_events_and_what_is_broken_is_kept(tmp_path: Path) -> None:
    """Each status is one event with its values unchanged; a broken one ends, unchanged, in the last dead-letter queue.

    The log tells its message id and the reason; after SIGTERM the pool exits 0 and nothing is left in flight.
    """
    sqs = boto3.client("sqs")
    urls = make_queues(sqs)
    for number in range(COUNT):
        for name in ("StatusUpdateQueue", "DLQ"):
            sqs.send_message(QueueUrl=urls[name], MessageBody=json.dumps(status(number, name)))
    broken = sqs.send_message(QueueUrl=urls["StatusUpdateQueue"], MessageBody='{"snsMessageId": "broken"}')["MessageId"]

    def depth(name: str) -> tuple[int, int]:
        """Visible and in flight."""
        asked = sqs.get_queue_attributes(QueueUrl=urls[name], AttributeNames=["All"])["Attributes"]
        return int(asked["ApproximateNumberOfMessages"]), int(asked["ApproximateNumberOfMessagesNotVisible"])

    environment = os.environ | {
        "STATUS_UPDATE_QUEUE_URL": urls["StatusUpdateQueue"],
        "DLQ_URL": urls["DLQ"],
        "EVENT_QUEUE_URL": urls["EventQueue"],
        "POLL_INTERVAL": "1",
    }
    log = tmp_path / "log"
    command = [sys.executable, "-m", "worker", "run", "--config", "apps/message_status/worker.toml"]
    command += ["--set", f"worker.control_socket={tmp_path}/s"]
    with log.open("wb") as file, subprocess.Popen(command, cwd=ROOT, env=environment, stderr=file) as pool:
        try:
            eventually(lambda: (depth("EventQueue"), depth("DLQ-dlq")) == ((2 * COUNT, 0), (1, 0)), seconds=60)
            pool.terminate()
            assert pool.wait(30) == 0
        finally:
            pool.kill()
    assert (depth("StatusUpdateQueue"), depth("DLQ")) == ((0, 0), (0, 0))
    assert take_all(sqs, urls["DLQ-dlq"]) == ['{"snsMessageId": "broken"}']
    events = [json.loads(body) for body in take_all(sqs, urls["EventQueue"])]
    seen = sorted((e["sourceQueue"], e["messageId"], e["status"], repr(e["response"]), e["timestamp"]) for e in events)
    sent = [(name, status(number, name)) for number in range(COUNT) for name in ("StatusUpdateQueue", "DLQ")]
    assert seen == sorted(
        (name, one["snsMessageId"], one["deliveryStatus"], repr(one["providerResponse"]), one["timestamp"])
        for name, one in sent
    )
    lines = [json.loads(line) for line in log.read_bytes().splitlines()]
    told = [line for line in lines if line.get("message") == broken and "missing fields" in str(line.get("error"))]
    assert {line["queue"] for line in told} == {"status-update", "dlq"}
