"""Test process: `python -m apps.image_pipeline.metrics` in a process of its own, against moto's CloudWatch."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

ROOT = Path(__file__).parents[3]
#: As AWS lists them: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
NINE = {
    "ApproximateAgeOfOldestMessage",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesVisible",
    "NumberOfEmptyReceives",
    "NumberOfMessagesDeleted",
    "NumberOfMessagesReceived",
    "NumberOfMessagesSent",
    "SentMessageSize",
}


def metrics(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the command; a variable that is empty is not set."""
    environ = {name: value for name, value in (os.environ | environment).items() if value}
    command = [sys.executable, "-m", "apps.image_pipeline.metrics", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def cloudwatch(aws_services: str) -> Iterator[Any]:
    client = boto3.client("cloudwatch")
    yield client
    client.close()


def put(cloudwatch: Any, name: str, *values: float, minutes_ago: float, queue: str = "images") -> None:
    at = datetime.fromtimestamp(time.time() - 60 * minutes_ago, UTC)
    dimensions = [{"Name": "QueueName", "Value": queue}]
    data = [{"MetricName": name, "Dimensions": dimensions, "Timestamp": at, "Value": value} for value in values]
    cloudwatch.put_metric_data(Namespace="AWS/SQS", MetricData=data)


def test_the_hour_of_one_queue_is_shown_in_periods(cloudwatch: Any) -> None:
    """All nine metrics; Sum, Average and Maximum of each period of 300 s that has data, and of the hour."""
    put(cloudwatch, "NumberOfMessagesSent", 1, 5, minutes_ago=32)
    put(cloudwatch, "NumberOfMessagesSent", 3, minutes_ago=7)
    put(cloudwatch, "NumberOfMessagesSent", 1000, minutes_ago=70)  # before the hour
    put(cloudwatch, "NumberOfMessagesSent", 1000, minutes_ago=7, queue="another")
    put(cloudwatch, "SentMessageSize", 2.5, minutes_ago=7)
    done = metrics("--json", SQS_QUEUE_NAME="images")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["metrics"].keys() == NINE
    assert (told["queue"], told["period"]) == ("images", 300)
    start, end = (datetime.fromisoformat(told[name]) for name in ("start", "end"))
    assert (end - start).total_seconds() == 3600
    sent = told["metrics"]["NumberOfMessagesSent"]
    assert sent["hour"] == {"Sum": 9.0, "Average": 3.0, "Maximum": 5.0}
    assert [{name: one[name] for name in ("Sum", "Average", "Maximum")} for one in sent["periods"]] == [
        {"Sum": 6.0, "Average": 3.0, "Maximum": 5.0},
        {"Sum": 3.0, "Average": 3.0, "Maximum": 3.0},
    ]
    assert told["metrics"]["SentMessageSize"]["hour"]["Maximum"] == 2.5
    assert told["metrics"]["NumberOfEmptyReceives"] == {"unit": "receives", "hour": None, "periods": []}


def test_people_get_a_table(cloudwatch: Any) -> None:
    """A row for each metric; what has no data has a dash."""
    put(cloudwatch, "NumberOfMessagesSent", 1234567, minutes_ago=7)
    done = metrics(SQS_QUEUE_NAME="images")
    assert (done.returncode, done.stderr) == (0, "")
    rows = {line.split()[1]: line for line in done.stdout.splitlines() if line.startswith("│")}
    assert rows.keys() == NINE
    assert rows["NumberOfMessagesSent"].count("1,234,567") == 3
    assert [one.strip() for one in rows["SentMessageSize"].split("│")[2:5]] == ["-", "-", "-"]


def test_a_queue_without_data_is_said_to_be_one(cloudwatch: Any) -> None:
    """It may be idle, or misspelt: the output is whole, and standard error says both."""
    done = metrics("--json", SQS_QUEUE_NAME="imagse")
    assert done.returncode == 0
    assert json.loads(done.stdout)["metrics"]["NumberOfMessagesSent"]["periods"] == []
    assert "no data of a queue 'imagse'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "why"),
    [
        ([], {"SQS_QUEUE_NAME": ""}, 78, "SQS_QUEUE_NAME is not set"),
        ([], {"AWS_DEFAULT_REGION": "", "AWS_REGION": ""}, 78, "You must specify a region"),
        (["--jsno"], {}, 64, "unrecognized arguments: --jsno"),
        ([], {"AWS_ENDPOINT_URL": "http://127.0.0.1:{closed}"}, 69, "Could not connect"),
    ],
)
def test_what_cannot_be_shown_has_a_code_and_a_reason(
    aws_services: str, arguments: list[str], environment: dict[str, str], code: int, why: str
) -> None:
    """Environment, arguments, network: one line, no traceback, and nothing on standard output."""
    with socket.socket() as shut:
        shut.bind(("127.0.0.1", 0))
        port = str(shut.getsockname()[1])
        known = {"SQS_QUEUE_NAME": "images", "AWS_CONFIG_FILE": "/nowhere"} | environment
        done = metrics(*arguments, **{name: value.replace("{closed}", port) for name, value in known.items()})
    assert (done.returncode, done.stdout) == (code, "")
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_a_refusal_names_the_permission(aws_services: str, cloudwatch: Any) -> None:
    """What CloudWatch says, and what it wants."""
    body = b'{"__type": "AccessDeniedException", "message": "not you"}'
    answer = b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/x-amz-json-1.0\r\nConnection: close\r\n"
    with socket.create_server(("127.0.0.1", 0)) as server:
        environ = {**os.environ, "SQS_QUEUE_NAME": "images"}
        environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{server.getsockname()[1]}"
        command = [sys.executable, "-m", "apps.image_pipeline.metrics"]
        with subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True) as process:
            server.settimeout(60)
            peer, _ = server.accept()
            with peer:
                peer.recv(1 << 20)
                peer.sendall(answer + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
                said = process.communicate(timeout=60)[1]
    assert process.returncode == 69
    assert said == "metrics: CloudWatch refused (AccessDeniedException): not you; cloudwatch:GetMetricData is needed\n"
