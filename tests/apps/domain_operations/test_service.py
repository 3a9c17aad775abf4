"""Test process: what the service puts into the domain queue, looked at in the strict SQS server."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from apps.domain_operations.rules import read
from apps.domain_operations.service import send_domain_activation, send_domain_batch
from tests.apps.conftest import make_queue, take_all


@pytest.fixture
def queue(aws_services: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a queue of the test's own, which the environment names."""
    for name in ("ENVIRONMENT", "DOMAIN_QUEUE_ROLE_ARN"):
        monkeypatch.delenv(name, raising=False)
    name = request.node.originalname.replace("_", "-")[:70]
    url = make_queue(boto3.client("sqs"), f"domains-{name}"[:80])
    monkeypatch.setenv("DOMAIN_QUEUE_URL", url)
    return url


def taken(url: str) -> list[dict[str, Any]]:
    return take_all(boto3.client("sqs"), url)


def test_an_activation_is_sent_as_the_handler_reads_it(queue: str) -> None:
    """The id is the message's; the attribute says the action; the timestamp is now."""
    before = datetime.now(UTC)
    sent = send_domain_activation("Shop.Example.", "activate", tenant_id="t-1", idempotency_key="k-1")
    [message] = taken(queue)
    assert message["MessageId"] == sent
    assert message["MessageAttributes"] == {"Action": {"StringValue": "activate", "DataType": "String"}}
    said = json.loads(message["Body"])
    assert {name: said[name] for name in ("domain", "action", "tenant_id", "idempotency_key")} == {
        "domain": "shop.example",
        "action": "activate",
        "tenant_id": "t-1",
        "idempotency_key": "k-1",
    }
    assert before <= read(message["Body"].encode()).at <= datetime.now(UTC) + timedelta(seconds=1)


def test_what_is_not_given_is_not_in_the_body(queue: str) -> None:
    """Neither as null nor as an empty text."""
    send_domain_activation("shop.example", "deactivate")
    [message] = taken(queue)
    assert sorted(json.loads(message["Body"])) == ["action", "domain", "timestamp"]


@pytest.mark.parametrize(
    ("domain", "action", "why"),
    [
        ("no domain", "activate", "no domain name"),
        ("shop.example", "suspend", "action is none of"),
        ("", "activate", "domain is missing"),
    ],
)
def test_what_the_handler_would_reject_is_refused_here(queue: str, domain: str, action: Any, why: str) -> None:
    """ValueError, and nothing is sent."""
    with pytest.raises(ValueError, match=why):
        send_domain_activation(domain, action)
    assert taken(queue) == []


def test_a_batch_of_any_length_is_sent_and_told_by_position(queue: str) -> None:
    """More than SQS takes at once; what is no change is among the failed, and keeps no other one back."""
    items: list[dict[str, Any]] = [
        {"name": f"d{number}.example", "action": "activate" if number % 2 else "deactivate"} for number in range(57)
    ]
    items[3] = {"name": "no domain", "action": "activate"}
    items[20] = {"name": "d20.example"}
    items[30] |= {"tenant_id": "t-1", "idempotency_key": "k-1"}
    result = send_domain_batch(items)
    assert [(one["Id"], one["Code"], one["SenderFault"]) for one in result["Failed"]] == [
        ("3", "InvalidChange", True),
        ("20", "InvalidChange", True),
    ]
    assert "no domain name" in result["Failed"][0]["Message"]
    ids = {one["MessageId"]: int(one["Id"]) for one in result["Successful"]}
    messages = taken(queue)
    assert len(messages) == len(ids) == 55
    for message in messages:
        item, said = items[ids[message["MessageId"]]], json.loads(message["Body"])
        assert (said["domain"], said["action"]) == (item["name"], item["action"])
        assert message["MessageAttributes"]["Action"]["StringValue"] == item["action"]
        assert said.get("tenant_id") == item.get("tenant_id")
    assert [one["Id"] for one in result["Successful"]] == sorted((one["Id"] for one in result["Successful"]), key=int)


def test_an_empty_batch_is_none(queue: str) -> None:
    """Nothing to send, nothing to fail."""
    assert send_domain_batch([]) == {"Successful": [], "Failed": []}
    assert taken(queue) == []


def test_a_queue_that_is_gone_fails_every_entry(queue: str) -> None:
    """By position, with SQS's code; the caller knows what to send again."""
    sqs = boto3.client("sqs")
    sqs.delete_queue(QueueUrl=queue)
    result = send_domain_batch(
        [{"name": "a.example", "action": "activate"}, {"name": "b.example", "action": "activate"}]
    )
    assert result["Successful"] == []
    assert [one["Id"] for one in result["Failed"]] == ["0", "1"]
    assert all("NonExistentQueue" in one["Code"] for one in result["Failed"])


def test_an_environment_is_enough(queue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its SSM parameter names the queue; without parameter or environment it is said what to set."""
    monkeypatch.delenv("DOMAIN_QUEUE_URL")
    with pytest.raises(RuntimeError, match="ENVIRONMENT is not set"):
        send_domain_activation("shop.example", "activate")
    monkeypatch.setenv("ENVIRONMENT", "staging")
    with pytest.raises(ClientError, match="ParameterNotFound"):
        send_domain_activation("shop.example", "activate")
    boto3.client("ssm").put_parameter(Name="/storefront-staging/sqs/domain-queue-url", Value=queue, Type="String")
    send_domain_activation("shop.example", "activate")
    assert len(taken(queue)) == 1
