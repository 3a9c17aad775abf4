"""Test process: the counts of a handler process on their way to CloudWatch; see apps/message_store/metrics.py."""

from __future__ import annotations

import socket
import time
from typing import Any

import boto3
import pytest
from botocore.config import Config

from apps.message_store.metrics import Metrics
from tests.apps.message_store.conftest import metric
from tests.conftest import eventually

pytestmark = pytest.mark.usefixtures("cloudwatch")


def made(queue: str, period: float = 3600.0, **options: Any) -> tuple[Metrics, list[Exception]]:
    failures: list[Exception] = []
    given = {"make_client": lambda: boto3.client("cloudwatch"), "failed": failures.append} | options
    return Metrics("MessageStore", queue, period=period, **given), failures


def test_counts_are_put_by_themselves_soon_after_a_quiet_time() -> None:
    """A first count need not wait for its period; the next ones do, or for a flush."""
    metrics, failures = made("by-itself")
    metrics.add("Saved")
    eventually(lambda: metric("Saved", "by-itself") == 1, seconds=60)
    for _ in range(3):
        metrics.add("Saved")
    metrics.add("Failed")
    assert metrics.flush(60.0)
    assert (metric("Saved", "by-itself"), metric("Failed", "by-itself"), failures) == (4, 1, [])


def test_a_flush_of_nothing_waits_for_nothing() -> None:
    """No thread, no client, no call."""
    metrics, _ = made("nothing", make_client=lambda: pytest.fail("no client is needed"))
    assert metrics.flush(0.0)


def test_what_cloudwatch_did_not_take_is_put_with_the_next_counts() -> None:
    """A failure is told, and costs no count."""
    clients: list[Any] = []

    def first_nowhere() -> Any:
        if not clients:
            with socket.socket() as held:
                held.bind(("127.0.0.1", 0))  # nobody listens there
                clients.append(None)
                raise ValueError(f"no client for {held.getsockname()}")
        return boto3.client("cloudwatch")

    metrics, failures = made("later", period=0.0, make_client=first_nowhere)
    metrics.add("Saved")
    assert not metrics.flush(60.0)
    assert len(failures) == 1
    metrics.add("Saved")
    assert metrics.flush(60.0)
    assert metric("Saved", "later") == 2


def test_a_cloudwatch_that_is_silent_holds_up_neither_counts_nor_a_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    """`add` returns at once while a put hangs; a flush gives up after its time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", f"http://127.0.0.1:{silent.getsockname()[1]}")
        client = boto3.client("cloudwatch", config=Config(retries={"total_max_attempts": 1}))
        metrics, failures = made("silent", make_client=lambda: client)
        metrics.add("Saved")
        started = time.monotonic()
        assert not metrics.flush(0.2)
        metrics.add("Saved")
        assert not metrics.flush(0.0)
        assert time.monotonic() - started < 10  # botocore itself would wait for a minute
    eventually(lambda: failures, seconds=60)  # closed now: the thread is at rest again
