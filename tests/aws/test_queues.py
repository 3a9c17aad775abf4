"""What a `[queues.*]` table means in AWS, looked up in the strict SQS server and in moto."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import boto3
import pytest

from tests.aws.conftest import queue_settings, session
from worker.aws.clients import Client
from worker.aws.queues import ResolvedQueue, Unresolved, resolve
from worker.aws.session import Unusable
from worker.policy.failures import FailureKind
from worker.testing.sqs_server.process import SqsServerProcess


def made(sqs: Any, suffix: str = "", **attributes: str) -> tuple[str, str, str]:
    """(name, URL, ARN) of a new queue."""
    name = f"q{uuid4().hex}{suffix}"
    if suffix:
        attributes["FifoQueue"] = "true"
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return name, url, arn


def redrive(target: str, receives: int = 5) -> str:
    """A redrive policy."""
    return json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": receives})


@pytest.fixture
def resolved(client: str, clients: Callable[..., Client]) -> Callable[..., ResolvedQueue]:
    """Finds what a poller with these settings finds."""

    def find(**fields: Any) -> ResolvedQueue:
        queue = queue_settings(client=client, **fields)
        return resolve(session(queue), clients(queue).ask, queue)

    return find


def test_a_queue_is_found_by_url_by_name_and_by_parameter(
    resolved: Callable[..., ResolvedQueue], sqs: Any, aws: str
) -> None:
    """All three give the same."""
    name, url, _ = made(sqs)
    boto3.client("ssm").put_parameter(Name=f"/{name}", Value=f"{url}\n", Type="String")
    boto3.client("ssm").put_parameter(Name=f"/{name}/secret", Value=url, Type="SecureString")
    for found in (
        resolved(url=url),
        resolved(queue_name=name),
        resolved(ssm=f"/{name}"),
        resolved(ssm=f"/{name}/secret"),
    ):
        assert found.url.rsplit("/", 1)[1] == name
        assert not found.fifo


def test_the_dead_letter_queue_is_the_redrive_policys(resolved: Callable[..., ResolvedQueue], sqs: Any) -> None:
    """With its maxReceiveCount."""
    dead, dead_url, arn = made(sqs)
    _, url, _ = made(sqs, RedrivePolicy=redrive(arn, 7))
    found = resolved(url=url)
    assert found.dead_letter.endswith(dead)
    assert dead_url.endswith(dead)
    assert found.receives == 7


def test_the_settings_name_another_dead_letter_queue(resolved: Callable[..., ResolvedQueue], sqs: Any) -> None:
    """By URL, name or ARN."""
    dead, dead_url, arn = made(sqs)
    _, url, _ = made(sqs)
    for named in (dead, dead_url, arn):
        assert resolved(url=url, dead_letter=named).dead_letter.endswith(dead)


def test_a_dead_letter_queue_that_leads_back_is_none(resolved: Callable[..., ResolvedQueue], sqs: Any) -> None:
    """A reject would go round for ever."""
    _, first, first_arn = made(sqs)
    _, second, second_arn = made(sqs, RedrivePolicy=redrive(first_arn))
    sqs.set_queue_attributes(QueueUrl=first, Attributes={"RedrivePolicy": redrive(second_arn)})
    found = resolved(url=first)
    assert not found.dead_letter
    assert "leads back" in found.dead_letter_why
    assert "leads back" in resolved(url=second, dead_letter=second).dead_letter_why


def test_without_a_policy_there_is_none(resolved: Callable[..., ResolvedQueue], sqs: Any) -> None:
    """And it says why."""
    _, url, _ = made(sqs)
    found = resolved(url=url)
    assert (found.dead_letter, found.receives) == ("", 0)
    assert "no redrive policy" in found.dead_letter_why


def test_fifo_is_told_by_the_name(resolved: Callable[..., ResolvedQueue], sqs: Any) -> None:
    """And its dead-letter queue must be of its kind."""
    _, standard, _ = made(sqs)
    _, url, _ = made(sqs, ".fifo")
    assert resolved(url=url).fifo
    assert "not of the same kind" in resolved(url=url, dead_letter=standard).dead_letter_why


def test_a_missing_queue_is_named(resolved: Callable[..., ResolvedQueue], sqs: Any, aws: str) -> None:
    """By URL, by name, by parameter: nothing that waiting heals."""
    for fields in ({"url": f"{aws}/000000000000/nowhere"}, {"queue_name": "nowhere"}, {"ssm": "/nowhere"}):
        with pytest.raises(Unresolved, match=r"queue orders: .*nowhere") as raised:
            resolved(**fields)
        assert raised.value.failure.kind is FailureKind.QUEUE_GONE


@pytest.mark.parametrize("status", [200, 403, 404])
def test_what_a_proxy_answers_says_nothing_about_the_queue(
    resolved: Callable[..., ResolvedQueue], aws: str, sqs_server: SqsServerProcess, status: int
) -> None:
    """A page of HTML, whatever its status: worth another try, at a first boot as well."""
    sqs_server.set_faults({"effect": "html", "status": status, "action": ["GetQueueUrl", "GetQueueAttributes"]})
    try:
        for named in ({"queue_name": "orders"}, {"url": f"{aws}/000000000000/orders"}):
            with pytest.raises(Unresolved) as caught:
                resolved(**named)
            assert caught.value.failure.kind is FailureKind.TRANSIENT
    finally:
        sqs_server.clear_faults()


def test_an_endpoint_that_is_down_is_worth_waiting_for(
    resolved: Callable[..., ResolvedQueue], aws: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connection refused is transient."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:9")
    with pytest.raises(Unresolved) as raised:
        resolved(queue_name="orders")
    assert raised.value.failure.kind is FailureKind.TRANSIENT


def test_a_role_is_assumed_for_the_queue(sqs: Any, aws: str) -> None:
    """Its credentials sign the calls, not the process's own."""
    _, url, _ = made(sqs)
    own = session(queue_settings(url=url, role_arn="arn:aws:iam::123456789012:role/orders"))
    client = own.controlling(2)
    client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    credentials = client._get_credentials() if hasattr(client, "_get_credentials") else None
    assert credentials is None or credentials.access_key != "test"
    assert own.botocore.get_credentials().get_frozen_credentials().access_key != "test"


def test_the_region_is_the_settings_or_the_urls(aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else boto3's own; without any, one line says so."""
    url = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"
    assert session(queue_settings(url=url)).controlling(1).meta.region_name == "eu-west-1"
    assert session(queue_settings(url=url), region="eu-north-1").controlling(1).meta.region_name == "eu-north-1"
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(Unusable, match="region"):
        session(queue_settings(queue_name="orders")).controlling(1)


def test_receives_and_control_calls_have_their_own_clients_and_patience(aws: str) -> None:
    """A stuck long poll never delays a beat; retries are ours, and their mode is named."""
    own = session(queue_settings(queue_name="orders", wait=10.0))
    receiving, controlling = own.receiving(4).meta.config, own.controlling(8).meta.config
    assert (receiving.read_timeout, controlling.read_timeout) == (15.0, 5.0)
    assert receiving.retries["total_max_attempts"] == controlling.retries["total_max_attempts"] == 1
    assert receiving.retries["mode"] == controlling.retries["mode"] == "standard"
