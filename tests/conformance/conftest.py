"""Test process: where the conformance suite is aimed, and what its cases share.

The suite holds facts about SQS, most of them recorded on AWS or stated by its API reference. By default it is aimed at
the server of `worker.testing`. To check the suite itself, aim it elsewhere:

    CONFORMANCE_ENDPOINT_URL=http://localhost:4566 pytest tests/conformance     # LocalStack, or any other emulator
    CONFORMANCE_ENDPOINT_URL=aws pytest tests/conformance                       # AWS, with your own credentials

Queue names are unique per run, and every queue is deleted in the end.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.conformance.aim import ENDPOINT, Target
from tests.conformance.lean_wire import LeanWire
from worker.testing.sqs_server.process import SqsServerProcess

DUMMY = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


def pytest_configure(config: pytest.Config) -> None:
    """The lowest botocore tested signs with `utcnow()`, which Python 3.12 deprecates."""
    config.addinivalue_line("filterwarnings", "ignore:datetime.datetime.utcnow:DeprecationWarning:botocore")


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """The URL of the SQS that the suite is aimed at; aws: wherever the environment leads."""
    if ENDPOINT:
        yield ENDPOINT
        return
    with SqsServerProcess() as server:
        yield server.url


@pytest.fixture(scope="session", params=["boto3", "lean"])
def target(endpoint: str, request: pytest.FixtureRequest) -> Iterator[Target]:
    """That SQS, over boto3's own connections and over those of our lean client."""
    given: dict[str, Any] = {}
    environment = {**os.environ}
    if endpoint != "aws":
        environment |= DUMMY
        given = {
            "endpoint_url": endpoint,
            "region_name": DUMMY["AWS_DEFAULT_REGION"],
            "aws_access_key_id": DUMMY["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": DUMMY["AWS_SECRET_ACCESS_KEY"],
        }
    # Without client-side validation the odd requests reach the server, which is what is asked here.
    config = Config(parameter_validation=False, retries={"total_max_attempts": 1}, read_timeout=30)
    client = boto3.Session().client("sqs", config=config, **given)
    # As an argument, since version 1 of the CLI does not read AWS_ENDPOINT_URL_SQS: it would go to AWS.
    wire = LeanWire(client) if request.param == "lean" else None
    target = Target(client, ["--endpoint-url", endpoint] if endpoint != "aws" else [], environment)
    yield target
    for url in target.urls:
        try:
            client.delete_queue(QueueUrl=url)
        except ClientError:
            continue  # the case deleted it itself
    client.close()
    if wire:
        assert wire.requests > len(target.urls), "the lean client was not asked"
        wire.close()


@pytest.fixture(scope="session")
def aws_command() -> str:
    """The AWS CLI of this environment."""
    command = Path(sys.executable).parent / "aws"
    assert command.exists(), "the AWS CLI is part of the dev requirements"
    return str(command)
