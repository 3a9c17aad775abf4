"""Queues and messages for development, on the embedded SQS."""

from __future__ import annotations

import json
from collections.abc import Iterator

import boto3
import pytest

from worker.aws.provision import NotProvisioned, Provisioner, QueuePlan, Sending
from worker.testing.sqs_server.process import SqsServerProcess


@pytest.fixture(scope="module")
def server() -> Iterator[SqsServerProcess]:
    with SqsServerProcess() as server:
        yield server


@pytest.fixture
def provisioner(server: SqsServerProcess) -> Iterator[Provisioner]:
    made = Provisioner(server.url, region="us-east-1")
    yield made
    made.close()


def attributes(server: SqsServerProcess, url: str) -> dict[str, str]:
    session = boto3.session.Session("x", "x", region_name="us-east-1")
    client = session.client("sqs", endpoint_url=server.url)
    try:
        answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        return {str(name): value for name, value in answer["Attributes"].items()}
    finally:
        client.close()


def test_queues_are_made_with_their_dead_letter_queues(server: SqsServerProcess, provisioner: Provisioner) -> None:
    """FIFO stays FIFO, the redrive policy names the count, and making them again changes nothing."""
    plans = [QueuePlan(name="a", dead_letter="a-dlq", receives=3), QueuePlan(name="b.fifo", dead_letter="b-dlq.fifo")]
    urls = provisioner.make(plans)
    assert sorted(urls) == ["a", "a-dlq", "b-dlq.fifo", "b.fifo"]
    policy = json.loads(attributes(server, urls["a"])["RedrivePolicy"])
    assert policy["maxReceiveCount"] == 3
    assert policy["deadLetterTargetArn"].endswith(":a-dlq")
    made = attributes(server, urls["b.fifo"])
    assert made["FifoQueue"] == "true"
    assert json.loads(made["RedrivePolicy"])["maxReceiveCount"] == 5
    assert provisioner.make(plans) == urls


def test_a_dead_letter_queue_may_be_a_source_with_its_own(server: SqsServerProcess, provisioner: Provisioner) -> None:
    """The order in which the plans stand does not matter."""
    urls = provisioner.make([QueuePlan(name="c", dead_letter="d"), QueuePlan(name="d", dead_letter="d-dlq")])
    assert json.loads(attributes(server, urls["c"])["RedrivePolicy"])["deadLetterTargetArn"].endswith(":d")
    assert json.loads(attributes(server, urls["d"])["RedrivePolicy"])["deadLetterTargetArn"].endswith(":d-dlq")


def test_messages_are_sent_whatever_their_number_and_size(server: SqsServerProcess, provisioner: Provisioner) -> None:
    """Batches stop at 10 entries and at 1 MiB; every message arrives once."""
    urls = provisioner.make([QueuePlan(name="e"), QueuePlan(name="f.fifo")])
    bodies = [Sending(body=str(n)) for n in range(25)] + [Sending(body="é" * 300_000) for _ in range(3)]
    assert list(provisioner.send(urls["e"], bodies)) == [10, 20, 26, 27, 28]
    assert server.queues()["e"]["ready"] == 28
    fifo = [Sending(body=str(n), group_id="g", deduplication_id=str(n)) for n in range(3)]
    assert list(provisioner.send(urls["f.fifo"], fifo)) == [3]
    assert list(provisioner.send(urls["f.fifo"], [])) == []
    assert server.queues()["f.fifo"] == {"ready": 3, "in_flight": 0, "delayed": 0}


def test_what_cannot_be_made_or_sent_is_named(provisioner: Provisioner) -> None:
    """A bad name, a missing queue, a body that SQS refuses, and an endpoint that is not there."""
    with pytest.raises(NotProvisioned, match="bad name"):
        provisioner.make([QueuePlan(name="bad name")])
    urls = provisioner.make([QueuePlan(name="g")])
    with pytest.raises(NotProvisioned, match=urls["g"] + "-not"):
        list(provisioner.send(urls["g"] + "-not", [Sending(body="x")]))
    with pytest.raises(NotProvisioned, match="cannot send"):
        list(provisioner.send(urls["g"], [Sending(body="\x00")]))
    nowhere = Provisioner("http://127.0.0.1:9", region="us-east-1")
    with pytest.raises(NotProvisioned, match="cannot make the queue h"):
        nowhere.make([QueuePlan(name="h")])
    nowhere.close()
