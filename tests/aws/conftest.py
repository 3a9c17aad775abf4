"""Fixtures of the AWS tests: the strict SQS server, moto for SSM and STS, and clients that speak with both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from worker.aws.session import Session
from worker.settings import QueueSettings, Settings
from worker.testing.sqs_server.process import SqsServerProcess


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The endpoint of a moto server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(sqs_server: SqsServerProcess, moto: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The environment of an application: SQS by the strict server, everything else by moto; gives the SQS endpoint."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_SQS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", sqs_server.url)
    return sqs_server.url


@pytest.fixture
def sqs(aws: str) -> Any:
    """A plain boto3 client."""
    return boto3.client("sqs", endpoint_url=aws)


def queue_settings(**fields: Any) -> QueueSettings:
    """Settings of one queue, with a short long poll."""
    return QueueSettings(**{"name": "orders", "handler": "app:handle", "wait": 1.0, **fields})


def session(queue: QueueSettings, **fields: Any) -> Session:
    """The session a poller of that queue has."""
    return Session(Settings(name="test", queues=(queue,), **fields), queue)
