"""A queue that cannot be found ends the start with 78 and a line that says which, and what was looked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from worker.testing.aws_services import AwsServicesProcess

GOOD = '[queues.good]\nname = "unresolved-good"\nhandler = "own:handle"\nhandlers = 1\nwait = 1\n'
METRICS = 'cloudwatch = { namespace = "Unresolved" }\n'


@pytest.fixture(scope="module")
def services() -> Iterator[AwsServicesProcess]:
    with AwsServicesProcess() as server:
        yield server


@pytest.fixture
def aws(services: AwsServicesProcess, sqs_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both servers, and one queue that is there."""
    services.reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL", services.url)
    boto3.client("sqs").create_queue(QueueName="unresolved-good")
    boto3.client("cloudwatch").list_metrics()  # moto loads a service at its first call, and SSM for seconds
    boto3.client("ssm").describe_parameters()


def start(folder: Path, config: str, **environ: str) -> tuple[int, list[dict[str, Any]]]:
    """The exit code of `worker run`, and its log."""
    (folder / "own.py").write_text("def handle(message): pass\n")
    (folder / "worker.toml").write_text(config)
    (folder / "worker.toml").chmod(0o600)
    command = [sys.executable, "-m", "worker", "run"]
    pool = subprocess.run(command, cwd=folder, env=os.environ | environ, capture_output=True, timeout=60, check=False)
    return pool.returncode, [json.loads(line) for line in pool.stderr.splitlines()]


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(
    ("source", "told"),
    [
        ('name = "unresolved-nowhere"', "queue lost: cannot find 'unresolved-nowhere' in SQS"),
        ('url = "http://127.0.0.1:1/000000000000/unresolved-nowhere"', "queue lost: cannot read the attributes of"),
        ('ssm = "/unresolved/nowhere"', "queue lost: cannot read the SSM parameter /unresolved/nowhere"),
    ],
)
@pytest.mark.parametrize("others", ["", GOOD], ids=["alone", "beside a good one"])
def test_a_queue_that_is_not_there_ends_the_start(tmp_path: Path, source: str, told: str, others: str) -> None:
    """Exit code 78, whether it is the only one or not; the line names the table, what was asked for, and the answer."""
    code, lines = start(tmp_path, f'{others}[queues.lost]\n{source}\nhandler = "own:handle"\nhandlers = 1\n')
    assert code == 78
    reasons = [str(line) for line in lines if line["level"] == "error"]
    assert any(told in reason for reason in reasons), reasons


def not_resolved(queue: str) -> float:
    """The sum of SQSGetURLError that CloudWatch has for a queue."""
    now = datetime.now(UTC)
    points = boto3.client("cloudwatch").get_metric_statistics(
        Namespace="Unresolved",
        MetricName="SQSGetURLError",
        Dimensions=[{"Name": "QueueName", "Value": queue}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=7200,
        Statistics=["Sum"],
    )["Datapoints"]
    return sum(point["Sum"] for point in points)


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(
    ("source", "dimension"),
    [('name = "unresolved-nowhere.fifo"', "unresolved-nowhere.fifo"), ('ssm = "/unresolved/nowhere"', "lost")],
)
def test_the_metric_is_put_before_the_end(tmp_path: Path, source: str, dimension: str) -> None:
    """An alarm on it sees a pool that could not start."""
    code, _ = start(tmp_path, f'[queues.lost]\n{source}\nhandler = "own:handle"\nhandlers = 1\n{METRICS}')
    assert code == 78
    assert not_resolved(dimension) >= 1


@pytest.mark.usefixtures("aws")
def test_a_cloudwatch_that_is_not_there_does_not_hide_the_reason(tmp_path: Path) -> None:
    """Still 78 and the reason, and a warning that the metric was not put."""
    config = f'[queues.lost]\nname = "unresolved-nowhere"\nhandler = "own:handle"\nhandlers = 1\n{METRICS}'
    code, lines = start(tmp_path, config, AWS_ENDPOINT_URL_CLOUDWATCH="http://127.0.0.1:1")
    assert code == 78
    assert any("cannot find 'unresolved-nowhere'" in str(line) for line in lines if line["level"] == "error")
    assert [line["namespace"] for line in lines if line["event"] == "metrics_not_put"] == ["Unresolved"]
