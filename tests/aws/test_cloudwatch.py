"""Metrics that a poller puts, as CloudWatch has them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from tests.conftest import eventually
from worker.aws.cloudwatch import CloudWatch
from worker.aws.session import Session
from worker.policy.failures import FailureKind
from worker.settings import QueueSettings, Settings


def session(**settings: Any) -> Session:
    return Session(Settings(name="shop", queues=(), **settings), QueueSettings(name="q", handler="a:b", url="u"))


def total(namespace: str, name: str, queue: str) -> tuple[float, list[str]]:
    """The sum that CloudWatch shows, and the units."""
    points = boto3.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": "QueueName", "Value": queue}],
        StartTime=datetime.now(UTC) - timedelta(hours=1),
        EndTime=datetime.now(UTC) + timedelta(hours=1),
        Period=3600,
        Statistics=["Sum"],
    )["Datapoints"]
    return sum(point["Sum"] for point in points), sorted({point["Unit"] for point in points})


@pytest.fixture(autouse=True)
def _awake(aws: str) -> None:
    """moto loads a service at its first call: that may take longer than a poller waits."""
    boto3.client("cloudwatch").list_metrics()


@pytest.fixture
def refusing_port() -> Iterator[int]:
    """A port on which nobody listens, and nobody else can."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_counts_arrive_with_namespace_name_and_dimension() -> None:
    """Sums of several puts, of each queue by itself."""
    metrics = CloudWatch(session().metrics, "Shop/Sums", wall=time.time)
    metrics.put({"Deleted": 3, "Failed": 1}, "orders")
    metrics.put({"Deleted": 4}, "orders")
    metrics.put({"Deleted": 50}, "mails.fifo")
    assert metrics.flush(60.0)
    assert metrics.failure() is None
    assert total("Shop/Sums", "Deleted", "orders") == (7.0, ["Count"])
    assert total("Shop/Sums", "Failed", "orders") == (1.0, ["Count"])
    assert total("Shop/Sums", "Deleted", "mails.fifo") == (50.0, ["Count"])


def test_what_cloudwatch_did_not_take_is_put_with_the_next_counts(
    refusing_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A put that fails is a failure with a kind, and costs no count once CloudWatch is there again."""
    made: list[Any] = []

    def first_nowhere() -> Any:
        made.append(session().metrics())
        return made[-1]

    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", f"http://127.0.0.1:{refusing_port}")
        metrics = CloudWatch(first_nowhere, "Shop/Later", wall=time.time)
        metrics.put({"Deleted": 3}, "orders")
        assert metrics.flush(60.0)
    failure = metrics.failure()
    assert failure is not None
    assert failure.kind is FailureKind.TRANSIENT
    good = boto3.client("cloudwatch")
    made[0].put_metric_data = good.put_metric_data  # the same way, now that it leads somewhere
    metrics.put({"Deleted": 4}, "orders")
    assert metrics.flush(60.0)
    assert metrics.failure() is None
    assert total("Shop/Later", "Deleted", "orders") == (7.0, ["Count"])


def test_a_failure_of_any_kind_does_not_end_it() -> None:
    """A credentials file that nobody may read, say: the counts of later are put, and a drain waits for nothing."""
    tries: list[None] = []

    def unreadable_at_first() -> Any:
        tries.append(None)
        if len(tries) == 1:
            raise PermissionError(13, "Permission denied", "credentials")
        return session().metrics()

    metrics = CloudWatch(unreadable_at_first, "Shop/Unreadable", wall=time.time)
    metrics.put({"Deleted": 3}, "orders")
    assert metrics.flush(20.0)
    assert "Permission denied" in str(metrics.failure())
    metrics.put({"Deleted": 4}, "orders")
    assert metrics.flush(20.0)
    assert metrics.failure() is None
    assert total("Shop/Unreadable", "Deleted", "orders") == (7.0, ["Count"])


def test_a_cloudwatch_that_is_silent_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """`put` returns at once, `flush` when its time is over; what is kept meanwhile is bounded."""
    accepted: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        accepting = threading.Thread(target=lambda: accepted.append(silent.accept()[0]))
        accepting.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", f"http://127.0.0.1:{silent.getsockname()[1]}")
        metrics = CloudWatch(session().metrics, "Shop/Silent", wall=time.time)
        metrics.put({"Deleted": 1}, "orders")
        eventually(lambda: accepted)
        assert not metrics.flush(0.01)
        assert not metrics.idle
        accepting.join()
    for one in accepted:
        one.close()
    assert metrics.flush(60.0)  # nobody listens any more
    assert metrics.failure() is not None


def test_an_endpoint_in_clear_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its requests would carry the pool's credentials; the failure says what to do."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", "http://192.0.2.1")
    metrics = CloudWatch(session().metrics, "Shop/Clear", wall=time.time)
    metrics.put({"Deleted": 1}, "orders")
    assert metrics.flush(60.0)
    failure = metrics.failure()
    assert failure is not None
    assert "http://192.0.2.1" in str(failure)
    assert "allow_insecure_endpoint" in str(failure)
