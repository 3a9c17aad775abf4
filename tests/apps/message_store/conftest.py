"""Test process: what the tests of message_store share: a table, CloudWatch's sums, a door to DynamoDB."""

from __future__ import annotations

import importlib
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any

import boto3
import pytest

TABLE = "messages"
QUEUE = "messages.fifo"


@pytest.fixture
def cloudwatch(aws_services: str) -> None:
    """Awake: moto loads a service at its first call, which may take longer than the application's timeouts."""
    boto3.client("cloudwatch").list_metrics()


@pytest.fixture
def table(cloudwatch: None) -> Callable[[], dict[str, dict[str, str]]]:
    """Makes the table; gives its items by key, read consistently."""
    dynamodb = boto3.client("dynamodb")
    dynamodb.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "message_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "message_id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )

    def items() -> dict[str, dict[str, str]]:
        pages = dynamodb.get_paginator("scan").paginate(TableName=TABLE, ConsistentRead=True)
        found = [{name: value["S"] for name, value in item.items()} for page in pages for item in page["Items"]]
        return {item["message_id"]: item for item in found}

    return items


def metric(name: str, queue: str = QUEUE) -> int:
    """The sum that CloudWatch has."""
    now = datetime.now(UTC)
    points = boto3.client("cloudwatch").get_metric_statistics(
        Namespace="MessageStore",
        MetricName=name,
        Dimensions=[{"Name": "QueueName", "Value": queue}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=7200,
        Statistics=["Sum"],
    )["Datapoints"]
    return int(sum(point["Sum"] for point in points))


#: Imports modules of the application as a new process would, in the environment of the test.
Import = Callable[[str], ModuleType]


@pytest.fixture
def fresh(table: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Import]:
    """Gives a module of the application by its name; none of them is left behind."""
    monkeypatch.setenv("DYNAMO_TABLE", TABLE)
    monkeypatch.setenv("QUEUE_NAME", QUEUE)
    monkeypatch.setenv("REGION", "us-east-1")
    monkeypatch.delenv("QUEUE_URL", raising=False)

    def forget() -> None:
        for name in [name for name in sys.modules if name.startswith("apps.message_store")]:
            del sys.modules[name]

    forget()
    yield lambda name: importlib.import_module(f"apps.message_store.{name}")
    forget()


@dataclass
class Door:
    """A way to DynamoDB on which calls of some actions fail, or wait."""

    url: str
    failing: set[str] = field(default_factory=set)  #: actions that are answered with 500
    held: dict[str, str] = field(default_factory=dict)  #: actions that wait for `open`: "before" or "after" acting
    waiting: int = 0  #: calls that are held now
    open: threading.Event = field(default_factory=threading.Event)
    between: Callable[[], None] | None = None  #: called once, after a GetItem was answered by DynamoDB


@pytest.fixture
def door(aws_services: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """DynamoDB's clients go through it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            action = self.headers["X-Amz-Target"].rpartition(".")[2]
            if action in made.failing:
                return self._answer(500, b'{"__type": "InternalServerError", "message": "not now"}')
            held = made.held.get(action)
            if held == "before":
                self._hold()
            request = urllib.request.Request(aws_services, data=body, headers=dict(self.headers))  # noqa: S310
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - loopback
                    status, said = answer.status, answer.read()
            except urllib.error.HTTPError as error:
                status, said = error.code, error.read()
            if held == "after":
                self._hold()
            if action == "GetItem" and made.between is not None:
                between, made.between = made.between, None
                between()
            return self._answer(status, said)

        def _hold(self) -> None:
            made.waiting += 1
            made.open.wait(60)
            made.waiting -= 1

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                return  # a killed handler reads no answer

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: a test's output is its own."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Door(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", made.url)
    yield made
    made.open.set()
    server.shutdown()
    thread.join()
    server.server_close()
