"""Test process: the config of image_pipeline, and its demonstration; see apps/image_pipeline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from apps.image_pipeline.demonstration import faults
from worker.config import ConfigError, load

ROOT = Path(__file__).parents[3]
CONFIG = ROOT / "apps/image_pipeline/worker.toml"
URLS = {
    name: f"http://localhost:4566/000000000000/{name}" for name in ("S3_EVENT_QUEUE_URL", "SQS_QUEUE_URL", "DLQ_URL")
}


def test_each_part_has_its_queue() -> None:
    """Three sources, each with its own handler function."""
    assert [(queue.name, queue.url, queue.handler) for queue in load(CONFIG, URLS).queues] == [
        ("s3-event", URLS["S3_EVENT_QUEUE_URL"], "apps.image_pipeline.handlers:s3_event"),
        ("orchestrator", URLS["SQS_QUEUE_URL"], "apps.image_pipeline.handlers:orchestrator"),
        ("dlq", URLS["DLQ_URL"], "apps.image_pipeline.handlers:dlq"),
    ]
    assert [queue.dead_letter for queue in load(CONFIG, URLS).queues] == [URLS["DLQ_URL"], URLS["DLQ_URL"], ""]


@pytest.mark.parametrize("name", URLS)
def test_a_missing_queue_is_named(name: str) -> None:
    """Each required variable of the config is named by the error that lacks it."""
    with pytest.raises(ConfigError, match=f"{name} is not set"):
        load(CONFIG, {other: url for other, url in URLS.items() if other != name})


def test_queues_may_be_on_another_machine_where_that_is_allowed() -> None:
    """A neighbouring container speaks plain http: ALLOW_INSECURE_URLS=1, or no start."""
    elsewhere = {name: url.replace("localhost", "localstack") for name, url in URLS.items()}
    with pytest.raises(ConfigError, match="plain http to another machine"):
        load(CONFIG, elsewhere)
    assert load(CONFIG, elsewhere | {"ALLOW_INSECURE_URLS": "1"}).allow_insecure_endpoint


def check(**environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "worker", "check", "--config", str(CONFIG)]
    environ = os.environ | URLS | environment
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)


def test_check_imports_all_three_parts() -> None:
    """With the whole environment the config is fine; what a part lacks is named with that part, before any message."""
    own = {
        "STEP_FUNCTIONS_ARN": "arn:aws:states:us-east-1:000000000000:stateMachine:images",
        "DYNAMODB_TABLE": "images",
        "SNS_TOPIC_ARN": "arn:aws:sns:us-east-1:000000000000:images",
    }
    done = check(**own)
    assert done.returncode == 0, done.stderr + done.stdout
    lacking = check(**own | {"SNS_TOPIC_ARN": ""})
    assert lacking.returncode == 78
    assert "SNS_TOPIC_ARN is not set (or empty): the topic that failed images are told to" in lacking.stderr


def test_the_demonstration_knows_what_is_wrong() -> None:
    """Of 100 messages 3 are broken and 10 come twice; a missing execution, row or alert is a fault."""
    right = {"executions": 87, "processing": 87, "failed": 1, "alerts": 3}
    assert faults(100, right) == []
    assert faults(100, right | {"alerts": 4}) == []
    for name in right:
        assert len(faults(100, right | {name: right[name] - 1})) == 1


@pytest.mark.system
def test_the_demonstration_balances() -> None:
    """`worker demo image_pipeline` exits 0, with the counts of what is in AWS at the end."""
    command = [sys.executable, "-m", "worker", "demo", "image_pipeline", "--messages", "100", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["counts"].pop("alerts") >= 3  # one that moto answers late is published twice
    assert told["counts"] == {"executions": 87, "processing": 87, "failed": 1}
    assert (told["balanced"], told["sent"], told["queues"]) == (
        True,
        100,
        {"S3EventQueue": 0, "ImageQueue": 0, "ImageDLQ": 0},
    )
