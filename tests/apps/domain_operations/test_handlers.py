"""Test process: the handler functions as the pool runs them, and their config; see apps/domain_operations."""

from __future__ import annotations

import importlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest

from apps.domain_operations.rules import caller_reference
from tests.apps.domain_operations.conftest import BUCKET, Resources
from tests.apps.domain_operations.throttling import Throttling, throttling
from tests.conftest import eventually
from worker.config import ConfigError, load
from worker.testing.run_inline import Kind, run_inline

CONFIG = Path(__file__).parents[3] / "apps/domain_operations/worker.toml"
ON: dict[str, Any] = {
    "domain": "shop.example",
    "action": "activate",
    "tenant_id": "t-1",
    "timestamp": "2026-01-31T12:00:00Z",
}
URL = "http://localhost:4566/000000000000/domain-queue"
NEEDED = {"DOMAIN_QUEUE_URL": URL}


def module(name: str, monkeypatch: pytest.MonkeyPatch, **environment: str) -> ModuleType:
    """A module of the application as a handler process imports it, under these variables."""
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    full = f"apps.domain_operations.{name}"
    monkeypatch.delitem(sys.modules, full, raising=False)
    found = importlib.import_module(full)
    monkeypatch.delitem(sys.modules, full)
    return found


@pytest.fixture
def handlers(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return module("handlers", monkeypatch)


def test_both_forms_of_a_body_are_done(handlers: ModuleType, resources: Resources) -> None:
    """Flat, and version 1.0 with its timestamp in metadata: acked, with a zone, a row and an entry."""
    new = {
        "version": "1.0",
        "metadata": {"timestamp": "2026-01-31T12:01:00Z"},
        "domain": "b.example",
        "action": "activate",
    }
    assert [run_inline(handlers.change_domain, body).kind for body in (ON, new)] == [Kind.ACK, Kind.ACK]
    assert resources.zones() == [("b.example", "b.example/1"), ("shop.example", "shop.example/1")]
    assert {name: entry["status"] for name, entry in resources.file().items()} == dict.fromkeys(
        ("b.example", "shop.example"), "active"
    )


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("no JSON", "not JSON"),
        (ON | {"action": "suspend"}, "action is none of activate and deactivate"),
        (ON | {"domain": "no domain"}, "no domain name"),
        (ON | {"version": "3"}, "version is not known"),
    ],
)
def test_what_can_never_be_done_is_rejected(handlers: ModuleType, resources: Resources, body: object, why: str) -> None:
    """To the dead-letter queue at once, with the reason; nothing is made."""
    outcome = run_inline(handlers.change_domain, body)
    assert outcome.kind is Kind.REJECT
    assert why in outcome.reason
    assert (resources.zones(), resources.file()) == ([], {})


def test_stale_and_repeated_messages_are_acked(
    handlers: ModuleType, resources: Resources, capfd: pytest.CaptureFixture[str]
) -> None:
    """They are done with; a line says why nothing happened."""
    run_inline(handlers.change_domain, ON | {"idempotency_key": "k"})
    old = ON | {"action": "deactivate", "timestamp": "2026-01-31T11:59:59Z"}
    again = ON | {"action": "deactivate", "timestamp": "2026-01-31T13:00:00Z", "idempotency_key": "k"}
    assert [run_inline(handlers.change_domain, body).kind for body in (old, again)] == [Kind.ACK, Kind.ACK]
    assert len(resources.zones()) == 1
    events = [json.loads(line)["event"] for line in capfd.readouterr().err.splitlines()]
    assert events == ["domain_active", "domain_stale", "domain_repeated"]


def test_a_timestamp_that_lies_ahead_is_warned_of(
    handlers: ModuleType, resources: Resources, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is done; whoever wonders later why all else is stale finds the line."""
    run_inline(handlers.change_domain, ON | {"timestamp": "2199-01-01T00:00:00Z"})
    run_inline(handlers.change_domain, ON | {"domain": "b.example", "timestamp": time.time() + 600})
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["timestamp_ahead", "domain_active", "domain_active"]
    assert (lines[0]["domain"], lines[0]["level"]) == ("shop.example", "warning")


@pytest.fixture
def route53(resources: Resources, aws_services: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Throttling]:
    with throttling(aws_services) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_ROUTE_53", proxy.url)
        yield proxy


def test_a_few_throttled_calls_are_waited_out(handlers: ModuleType, resources: Resources, route53: Throttling) -> None:
    """Route 53 says no twice: the message is done all the same, with one zone."""
    handlers._operations.cache_clear()
    route53.refuse = 2
    assert run_inline(handlers.change_domain, ON).kind is Kind.ACK
    assert (resources.zones(), route53.refused) == ([("shop.example", "shop.example/1")], 2)


@pytest.mark.parametrize(("receives", "least", "most"), [(1, 30, 60), (3, 120, 240)])
def test_throttling_is_a_retry_that_waits(
    handlers: ModuleType, resources: Resources, route53: Throttling, receives: int, least: float, most: float
) -> None:
    """Longer at each receive; the claim is given back, and the next attempt makes the one zone."""
    handlers._operations.cache_clear()
    route53.refuse = 1000
    outcome = run_inline(handlers.change_domain, ON, receive_count=receives)
    assert outcome.kind is Kind.RETRY
    assert outcome.after is not None
    assert least <= outcome.after <= most
    assert "is throttled" in outcome.reason
    assert "claimed_by" not in resources.item("shop.example")
    route53.refuse = 0
    assert run_inline(handlers.change_domain, ON).kind is Kind.ACK
    assert resources.zones() == [("shop.example", "shop.example/1")]


def test_another_failure_of_aws_is_a_retry_with_its_text(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the queue's own backoff."""
    handlers = module("handlers", monkeypatch, DOMAINS_BUCKET="elsewhere")
    outcome = run_inline(handlers.change_domain, ON)
    assert (outcome.kind, outcome.after) == (Kind.RETRY, None)
    assert "NoSuchBucket" in outcome.reason


def test_a_reference_that_is_used_up_leads_to_the_next(
    handlers: ModuleType, resources: Resources, route53: Throttling
) -> None:
    """As AWS answers, where moto would make a second zone: the zone of the reference was deleted by others."""
    handlers._operations.cache_clear()
    route53.used = {caller_reference("shop.example", 1)}
    assert run_inline(handlers.change_domain, ON).kind is Kind.ACK
    assert resources.zones() == [("shop.example", "shop.example/2")]
    assert resources.item("shop.example")["generation"] == 2


@pytest.fixture
def accounts(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Route 53 and STS of a moto that tells accounts apart by the keys: the shared one has a single account."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            eventually(lambda: _listens(port), seconds=60)
            for service in ("ROUTE_53", "STS"):
                monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", f"http://127.0.0.1:{port}")
            yield
        finally:
            server.kill()


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.usefixtures("accounts")
def test_zones_may_be_of_another_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """With ROUTE53_ROLE_ARN the zone is in the role's account, and in ours there is none."""
    arn = "arn:aws:iam::210987654321:role/zones"
    handlers = module("handlers", monkeypatch, ROUTE53_ROLE_ARN=arn)
    assert run_inline(handlers.change_domain, ON).kind is Kind.ACK
    assert boto3.client("route53").list_hosted_zones()["HostedZones"] == []
    theirs = boto3.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    there = boto3.client(
        "route53",
        aws_access_key_id=theirs["AccessKeyId"],
        aws_secret_access_key=theirs["SecretAccessKey"],
        aws_session_token=theirs["SessionToken"],
    )
    assert [zone["Name"] for zone in there.list_hosted_zones()["HostedZones"]] == ["shop.example."]


@pytest.mark.parametrize("name", ["DOMAIN_TABLE", "DOMAINS_BUCKET"])
def test_a_missing_variable_is_named_at_start(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The handler process does not boot without its resources."""
    given = {"DOMAIN_TABLE": "domains", "DOMAINS_BUCKET": BUCKET} | {name: ""}
    with pytest.raises(RuntimeError, match=f"{name} is not set"):
        module("handlers", monkeypatch, **given)


def subscribed(topic: str) -> Any:
    """A queue of moto's that is subscribed to the topic: its messages, taken out, as a function."""
    endpoint = str(boto3.client("sns").meta.endpoint_url)
    sqs = boto3.client("sqs", endpoint_url=endpoint)
    url = sqs.create_queue(QueueName="alerts")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    boto3.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def messages() -> list[dict[str, Any]]:
        received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in received]

    return messages


@pytest.mark.usefixtures("aws_services")
def test_a_dead_letter_is_announced_and_then_acked(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The announcement has all that an operator needs, the body included, which the log never has."""
    topic = boto3.client("sns").create_topic(Name="alerts")["TopicArn"]
    messages = subscribed(topic)
    dead_letters = module("dead_letters", monkeypatch, ALERT_TOPIC_ARN=topic)
    outcome = run_inline(
        dead_letters.alert, '{"secret": "☃"}', queue="domains-dlq", message_attributes={"worker.crash": "SIGSEGV"}
    )
    assert outcome.kind is Kind.ACK
    [told] = messages()
    assert told["Subject"] == "Dead letter in domains-dlq"
    said = json.loads(told["Message"])
    assert {name: said[name] for name in ("queue", "message_id", "body", "body_cut", "receive_count")} == {
        "queue": "domains-dlq",
        "message_id": "00000000-0000-4000-8000-000000000000",
        "body": '{"secret": "☃"}',
        "body_cut": False,
        "receive_count": 1,
    }
    logged = capfd.readouterr().err
    assert '"event":"dead_letter"' in logged
    assert "secret" not in logged


@pytest.mark.usefixtures("aws_services")
def test_the_largest_body_of_the_worst_characters_can_be_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A megabyte that JSON writes six times as long is cut, and says so."""
    topic = boto3.client("sns").create_topic(Name="alerts")["TopicArn"]
    messages = subscribed(topic)
    dead_letters = module("dead_letters", monkeypatch, ALERT_TOPIC_ARN=topic)
    assert run_inline(dead_letters.alert, b"\x01" * 1_048_576).kind is Kind.ACK
    [told] = messages()
    assert json.loads(told["Message"])["body_cut"]
    assert len(told["Message"].encode()) < 262_144


@pytest.mark.usefixtures("aws_services")
def test_a_dead_letter_that_cannot_be_announced_stays(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A topic that does not exist: a retry. No topic at all: an error line, and another one in an hour."""
    gone = module("dead_letters", monkeypatch, ALERT_TOPIC_ARN="arn:aws:sns:us-east-1:123456789012:gone")
    assert run_inline(gone.alert, "{}").kind is Kind.RETRY
    capfd.readouterr()
    none = module("dead_letters", monkeypatch, ALERT_TOPIC_ARN="")
    outcome = run_inline(none.alert, "{}", queue="domains-dlq")
    assert (outcome.kind, outcome.after) == (Kind.RETRY, 3600.0)
    [line] = [json.loads(text) for text in capfd.readouterr().err.splitlines()]
    assert (line["level"], line["event"], line["queue"]) == ("error", "dead_letter", "domains-dlq")
    assert "ALERT_TOPIC_ARN is not set" in line["reason"]


def test_the_domain_queue_needs_nothing_of_the_others() -> None:
    """Its URL alone: one table, and the others are left out by name."""
    settings = load(CONFIG, NEEDED)
    assert [(queue.name, queue.url) for queue in settings.queues] == [("domains", URL)]
    assert "domains-dlq" in settings.left_out


def test_an_environment_names_the_parameters() -> None:
    """Both URLs are asked from SSM; one that is given directly goes before."""
    settings = load(CONFIG, {"ENVIRONMENT": "staging"})
    assert [(queue.name, queue.ssm) for queue in settings.queues] == [
        ("domains", "/storefront-staging/sqs/domain-queue-url"),
        ("domains-dlq", "/storefront-staging/sqs/domain-queue-dlq-url"),
    ]
    both = load(CONFIG, {"ENVIRONMENT": "staging"} | NEEDED)
    assert (both.queue("domains").url, both.queue("domains").ssm) == (URL, "")
    assert both.queue("domains-dlq").ssm == "/storefront-staging/sqs/domain-queue-dlq-url"


def test_without_either_both_variables_are_named() -> None:
    """The operator learns what would do."""
    with pytest.raises(ConfigError, match="DOMAIN_QUEUE_URL or ENVIRONMENT is not set"):
        load(CONFIG, {})
