"""Fixtures of the idempotency tests: a manual clock, messages, and both stores; DynamoDB is moto's."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest

from worker import Message
from worker.idempotency import DynamoDBStore, MemoryStore, Store
from worker.testing.aws_services import AwsServicesProcess

#: 2023-11-14, a time like any other.
START = 1_700_000_000.0


@dataclass
class ManualClock:
    """Seconds since 1970, as far as a test says; a pause moves it on."""

    now: float = START
    pauses: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def services() -> Iterator[AwsServicesProcess]:
    """moto's server, in a process of its own."""
    with AwsServicesProcess() as started:
        yield started


_TABLES = itertools.count(1)


@dataclass(frozen=True)
class DynamoDB:
    """A table of keys, and a boto3 client to look into it."""

    client: Any
    table: str
    store: DynamoDBStore

    def item(self, key: str) -> dict[str, dict[str, str]] | None:
        found = self.client.get_item(TableName=self.table, Key={"id": {"S": key}}, ConsistentRead=True)
        item: dict[str, dict[str, str]] | None = found.get("Item")
        return item


@pytest.fixture
def dynamodb(services: AwsServicesProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[DynamoDB]:
    """A new table, and the environment of an application that finds it."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_DYNAMODB"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", services.url)
    client, table = boto3.client("dynamodb"), f"keys-{next(_TABLES)}"
    client.create_table(
        TableName=table,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    yield DynamoDB(client, table, DynamoDBStore(table, pause=lambda _: None))
    client.close()


@pytest.fixture(params=["memory", "dynamodb"])
def store(request: pytest.FixtureRequest, services: AwsServicesProcess) -> Store:
    """Each store in turn. (`services` starts before the test, or its process would be the test's.)"""
    if request.param == "memory":
        return MemoryStore()
    found: DynamoDB = request.getfixturevalue("dynamodb")
    return found.store


_NUMBERS = itertools.count(1)


@pytest.fixture
def message() -> Callable[..., Message]:
    """Makes messages of a pool's kind, each with an id of its own and 40 s to run."""

    def make(body: bytes = b"{}", *, remaining: float = 40.0, **fields: Any) -> Message:
        known = {"id": f"m{next(_NUMBERS)}", "queue": "orders", "deadline": 1000.0 + remaining, "latest": 44_000.0}
        return Message(body=body, clock=lambda: 1000.0, **(known | fields))

    return make
