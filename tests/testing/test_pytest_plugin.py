"""Test process: the pytest fixtures that users get."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

if TYPE_CHECKING:
    from worker.testing.sqs_server.process import SqsServerProcess


def test_boto3_finds_the_endpoint_by_itself(sqs_endpoint: str) -> None:
    """Within `sqs_endpoint` a plain client speaks with the server, and the environment has dummy credentials."""
    assert os.environ["AWS_ENDPOINT_URL_SQS"] == sqs_endpoint
    client = boto3.client("sqs")
    try:
        url = client.create_queue(QueueName="plugin")["QueueUrl"]
        client.send_message(QueueUrl=url, MessageBody="hello")
        assert client.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "hello"
        client.delete_queue(QueueUrl=url)
        assert client.create_queue(QueueName="plugin")["QueueUrl"] == url
        client.delete_queue(QueueUrl=url)
    finally:
        client.close()


def test_the_environment_is_put_back() -> None:
    """Outside the fixture nothing of it is left."""
    assert "AWS_ENDPOINT_URL_SQS" not in os.environ


def test_the_server_is_one_for_the_run(sqs_server: SqsServerProcess, request: object) -> None:
    """The session's server answers, and its event log is on."""
    del request
    assert isinstance(sqs_server.queues(), dict)
    assert sqs_server.events()


def test_the_plugin_is_light_to_import() -> None:
    """Every pytest run of the environment loads it: it brings neither boto3 nor the server."""
    source = "import sys, worker.testing.pytest_plugin; print(*sorted(sys.modules))"
    output = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=30)
    modules = set(output.stdout.split())
    assert not modules & {"boto3", "botocore", "asyncio"}
    assert "worker.testing.sqs_server.server" not in modules


def test_a_users_test_needs_no_configuration(tmp_path: Path) -> None:
    """A test file of a user's own gets the fixtures from the installed plugin."""
    test = tmp_path / "test_mine.py"
    test.write_text(
        "import boto3\n"
        "def test_mine(sqs_endpoint):\n"
        "    client = boto3.client('sqs')\n"
        "    assert client.create_queue(QueueName='mine')['QueueUrl'].endswith('/000000000000/mine')\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60)
    assert "1 passed" in result.stdout, result.stdout + result.stderr
