"""Fixtures of the AWS tests: the strict SQS server, moto for SSM and STS, and clients that speak with both."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.idempotency.conftest import dynamodb, message, services  # noqa: F401 - fixtures of a table of keys
from worker import platform
from worker.aws.clients import Client, client_for
from worker.aws.session import Session
from worker.policy.requests import Answer, Request, Sqs
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


@pytest.fixture(params=["lean", "boto3"])
def client(request: pytest.FixtureRequest) -> str:
    """Each client in turn, by the name that the config has for it."""
    return str(request.param)


@pytest.fixture
def clients() -> Iterator[Callable[..., Client]]:
    """Makes clients as a poller has them, and closes them: of queue settings, with settings as further arguments."""
    made: list[Client] = []

    def make(queue: QueueSettings, *, controls: int = 2, **fields: Any) -> Client:
        made.append(client_for(session(queue, **fields), queue, controls=controls))
        return made[-1]

    yield make
    for one in made:
        one.close()


def ask(sqs: Sqs, *requests: Request) -> list[Answer]:
    """Start all, and wait for the answers; in the order of the requests."""
    for number, request in enumerate(requests):
        sqs.start(request, number)
    answers: list[Answer] = []
    while len(answers) < len(requests):
        answers += wait(sqs, 20.0)
    return sorted(answers, key=lambda answer: int(str(answer.token)))


def wait(sqs: Sqs, seconds: float) -> list[Answer]:
    """The next answers; an assertion if none comes in time."""
    end = platform.now() + seconds
    while not (answers := once(sqs, end - platform.now())):
        assert platform.now() < end, f"an answer within {seconds} s"
    return answers


def once(sqs: Sqs, seconds: float) -> list[Answer]:
    """One turn of a poller's loop that waits so long at most."""
    select.select([sqs], [], [], max(0.0, min(seconds, sqs.due(platform.now()))))
    return sqs.answers()


def queue_settings(**fields: Any) -> QueueSettings:
    """Settings of one queue, with a short long poll."""
    return QueueSettings(**{"name": "orders", "handler": "app:handle", "wait": 1.0, **fields})


def session(queue: QueueSettings, **fields: Any) -> Session:
    """The session a poller of that queue has."""
    return Session(Settings(name="test", queues=(queue,), **fields), queue)
