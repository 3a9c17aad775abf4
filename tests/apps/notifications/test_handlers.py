"""Test process: the handler function as the pool runs it, with a real table and a real webhook; and its config."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest

from apps.notifications.provision import make_table
from tests.apps.notifications.receiver import Receiver, Reply, Request, receiving
from worker.config import ConfigError, load
from worker.settings import Settings
from worker.testing.run_inline import Kind, run_inline

CONFIG = Path(__file__).parents[3] / "apps/notifications/worker.toml"
BATCH = "5f0c2a52-7d0e-4f9e-9b8a-6f6f3b0f9d11"
URLS = {
    name: f"http://localhost:4566/000000000000/{name.lower()}"
    for name in ("SQS_SEND_QUEUE_URL", "SQS_BATCH_QUEUE_URL", "SQS_SEND_DLQ_URL", "SQS_BATCH_DLQ_URL")
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture
def table(aws_services: str) -> Iterator[Any]:
    """DynamoDB with the table of deliveries."""
    dynamodb = boto3.client("dynamodb")
    make_table(dynamodb, "deliveries")
    yield dynamodb
    dynamodb.close()


def imported(monkeypatch: pytest.MonkeyPatch, **environ: str) -> ModuleType:
    """handlers.py as a handler process imports it."""
    for name, value in ({"NOTIFICATIONS_TABLE": "deliveries"} | environ).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, "apps.notifications.handlers", raising=False)
    module = importlib.import_module("apps.notifications.handlers")
    monkeypatch.delitem(sys.modules, "apps.notifications.handlers")
    return module


def body(*ids: str, channel: str = "webhook") -> dict[str, Any]:
    recipients = [{"id": one} for one in ids]
    return {"batch_id": BATCH, "chunk": 0, "content": "hello", "channel": channel, "recipients": recipients}


def rows(dynamodb: Any) -> dict[str, dict[str, Any]]:
    """The table's rows by recipient."""
    return {row["recipient_id"]["S"]: row for row in dynamodb.scan(TableName="deliveries")["Items"]}


def keys(*ids: str) -> list[str]:
    return [f"{BATCH}:{one}" for one in ids]


def recipient(request: Request) -> str:
    return str(request.said["recipient"]["id"])


def test_each_recipient_gets_it_and_has_a_row(monkeypatch: pytest.MonkeyPatch, table: Any, receiver: Receiver) -> None:
    """An ack; a second delivery of the same message posts nothing more."""
    deliver = imported(monkeypatch, WEBHOOK_URL=receiver.url).deliver
    assert run_inline(deliver, body("a", "b", "a")).kind is Kind.ACK
    assert receiver.keys() == keys("a", "b")
    found = rows(table)
    assert set(found) == {"a", "b"}
    assert found["a"]["batch_id"] == {"S": BATCH}
    assert found["a"]["channel"] == {"S": "webhook"}
    assert int(found["a"]["expires"]["N"]) > 1_800_000_000
    assert run_inline(deliver, body("a", "b"), receive_count=2).kind is Kind.ACK
    assert len(receiver.requests) == 2


def test_a_retry_sends_to_those_who_lack_it_only(
    monkeypatch: pytest.MonkeyPatch, table: Any, receiver: Receiver
) -> None:
    """One fails with 500, the others have theirs; the next attempt posts to that one alone, with the same key."""
    deliver = imported(monkeypatch, WEBHOOK_URL=receiver.url).deliver
    receiver.reply = lambda request: Reply(500 if recipient(request) == "b" else 200)
    outcome = run_inline(deliver, body("a", "b", "c"))
    assert (outcome.kind, outcome.after) == (Kind.RETRY, None)
    assert outcome.reason == "the webhook answered 500 (recipient 1)"
    assert set(rows(table)) == {"a", "c"}
    receiver.reply = lambda _: Reply(204, body=b"")
    assert run_inline(deliver, body("a", "b", "c"), receive_count=2).kind is Kind.ACK
    assert receiver.keys() == keys("a", "b", "c", "b")
    assert set(rows(table)) == {"a", "b", "c"}


def test_one_who_is_refused_rejects_the_message_after_the_others_were_delivered(
    monkeypatch: pytest.MonkeyPatch, table: Any, receiver: Receiver
) -> None:
    """A 404 in the middle: the rest is posted, and has rows; the refused one has none, so a redrive tries it again."""
    deliver = imported(monkeypatch, WEBHOOK_URL=receiver.url).deliver
    receiver.reply = lambda request: Reply(404 if recipient(request) == "b" else 200)
    outcome = run_inline(deliver, body("a", "b", "c"))
    assert (outcome.kind, outcome.reason) == (Kind.REJECT, "the webhook answered 404 (recipient 1)")
    assert set(rows(table)) == {"a", "c"}
    receiver.reply = lambda _: Reply()
    assert run_inline(deliver, body("a", "b", "c")).kind is Kind.ACK
    assert receiver.keys() == keys("a", "b", "c", "b")


def test_a_refusal_waits_until_all_others_are_delivered(
    monkeypatch: pytest.MonkeyPatch, table: Any, receiver: Receiver
) -> None:
    """One 404 and one 503 are a retry; when the second has it, the message is rejected for the first."""
    deliver = imported(monkeypatch, WEBHOOK_URL=receiver.url).deliver
    statuses = {"a": 404, "b": 503, "c": 200}
    receiver.reply = lambda request: Reply(statuses[recipient(request)])
    assert run_inline(deliver, body("a", "b", "c")).kind is Kind.RETRY
    statuses["b"] = 200
    outcome = run_inline(deliver, body("a", "b", "c"), receive_count=2)
    assert (outcome.kind, outcome.reason) == (Kind.REJECT, "the webhook answered 404 (recipient 0)")
    assert set(rows(table)) == {"b", "c"}


def test_a_wait_that_is_asked_for_is_kept_and_nobody_starves(
    monkeypatch: pytest.MonkeyPatch, table: Any, receiver: Receiver
) -> None:
    """429 with Retry-After ends the round, for so long; the next round begins behind the one who had it."""
    deliver = imported(monkeypatch, WEBHOOK_URL=receiver.url).deliver
    receiver.reply = lambda request: Reply(429, {"Retry-After": "90"}) if recipient(request) == "b" else Reply()
    outcome = run_inline(deliver, body("a", "b", "c", "d"))
    assert (outcome.kind, outcome.after) == (Kind.RETRY, 90.0)
    assert outcome.reason == "the webhook answered 429 (recipient 1); 2 not tried"
    assert receiver.keys() == keys("a", "b")
    assert run_inline(deliver, body("a", "b", "c", "d"), receive_count=2).after == 90.0
    assert receiver.keys() == keys("a", "b", "c", "d", "b")
    assert set(rows(table)) == {"a", "c", "d"}


def test_a_service_that_is_down_is_not_asked_a_hundred_times(
    monkeypatch: pytest.MonkeyPatch, table: Any, receiver: Receiver
) -> None:
    """Three failures in a row, and the rest waits for the next receive."""
    deliver = imported(monkeypatch, WEBHOOK_URL=receiver.url).deliver
    receiver.reply = lambda _: Reply(drop=True)
    outcome = run_inline(deliver, body(*map(str, range(100))))
    assert outcome.kind is Kind.RETRY
    assert outcome.reason.endswith("(recipients 0, 1, 2); 97 not tried")
    assert len(receiver.requests) == 3


def test_a_hundred_and_more_recipients_are_looked_up(
    monkeypatch: pytest.MonkeyPatch, table: Any, tmp_path: Path
) -> None:
    """DynamoDB takes 100 keys at a time; those of 230 who have a row are left out."""
    deliver = imported(monkeypatch, RECORDING_FILE=str(tmp_path / "out")).deliver
    everybody = [f"Zoë {number}" for number in range(230)]
    assert run_inline(deliver, body(*everybody[:120], channel="recording")).kind is Kind.ACK
    assert run_inline(deliver, body(*everybody, channel="recording")).kind is Kind.ACK
    seen = [json.loads(line)["recipient"]["id"] for line in (tmp_path / "out").read_text().splitlines()]
    assert seen == everybody
    assert set(rows(table)) == set(everybody)


def test_a_table_that_fails_is_a_retry_and_nothing_is_sent(
    monkeypatch: pytest.MonkeyPatch, aws_services: str, receiver: Receiver
) -> None:
    """Without the table nobody knows who has it: first the table, then the webhook."""
    deliver = imported(monkeypatch, WEBHOOK_URL=receiver.url).deliver
    outcome = run_inline(deliver, body("a"))
    assert outcome.kind is Kind.RETRY
    assert "ResourceNotFoundException" in outcome.reason
    assert receiver.requests == []


def test_a_channel_that_nobody_configured_waits_for_the_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten minutes, and the reason names the variable: the message is as good as any other."""
    deliver = imported(monkeypatch).deliver
    for channel, name in (("line", "LINE_CHANNEL_ACCESS_TOKEN"), ("sms", "SMS=sns"), ("recording", "RECORDING_FILE")):
        outcome = run_inline(deliver, body("a", channel=channel))
        assert (outcome.kind, outcome.after) == (Kind.RETRY, 600.0)
        assert outcome.reason == f"channel {channel} is not configured in this pool: set {name}"


@pytest.mark.parametrize("bad", ["no JSON", {}, body(), body("a", channel="fax"), body("a") | {"recipients": [{}]}])
def test_what_is_no_notification_goes_to_the_dead_letter_queue(monkeypatch: pytest.MonkeyPatch, bad: object) -> None:
    """No retry makes it one."""
    outcome = run_inline(imported(monkeypatch).deliver, bad)
    assert outcome.kind is Kind.REJECT
    assert outcome.reason.startswith("no notification: ")


def test_sms_goes_through_sns(monkeypatch: pytest.MonkeyPatch, table: Any, aws_services: str) -> None:
    """A number that SNS refuses rejects the message; one that it takes is delivered."""
    deliver = imported(monkeypatch, SMS="sns").deliver
    recipients = [{"id": "a", "phone": "+819012345678"}, {"id": "b", "phone": "nonsense"}, {"id": "c"}]
    outcome = run_inline(deliver, body("x", channel="sms") | {"recipients": recipients})
    assert outcome.kind is Kind.REJECT
    assert outcome.reason == "SNS said InvalidParameter (recipient 1); no phone (recipient 2)"
    assert set(rows(table)) == {"a"}


def test_sns_out_of_reach_is_later(monkeypatch: pytest.MonkeyPatch, table: Any) -> None:
    """Three are tried, and the reason says what it is."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", "http://127.0.0.1:1")
    deliver = imported(monkeypatch, SMS="sns").deliver
    recipients = [{"id": str(number), "phone": "+819012345678"} for number in range(5)]
    outcome = run_inline(deliver, body("x", channel="sms") | {"recipients": recipients})
    assert outcome.kind is Kind.RETRY
    assert outcome.reason == "SNS did not answer: EndpointConnectionError (recipients 0, 1, 2); 2 not tried"


def test_debug_tells_of_deliveries_without_content_or_address(
    monkeypatch: pytest.MonkeyPatch, table: Any, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """With DEBUG=1 by message id, batch and place; without it nothing."""
    monkeypatch.setattr("apps.notifications.environment.LOG.level", 0)
    quiet = imported(monkeypatch, WEBHOOK_URL=receiver.url, DEBUG="").deliver
    run_inline(quiet, body("secret-1"))
    assert caplog.records == []
    deliver = imported(monkeypatch, WEBHOOK_URL=receiver.url, DEBUG="1").deliver
    with caplog.at_level("DEBUG", "apps.notifications"):
        run_inline(deliver, body("secret-2"))
    expected = f"message 00000000-0000-4000-8000-000000000000: batch {BATCH}, recipient 0: Delivered"
    assert [record.getMessage() for record in caplog.records] == [expected]


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({"NOTIFICATIONS_TABLE": ""}, "NOTIFICATIONS_TABLE is not set"),
        ({"WEBHOOK_URL": "x"}, "WEBHOOK_URL is not a URL"),
    ],
)
def test_what_is_wrong_is_said_at_start(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], why: str) -> None:
    """The handler process does not boot, and names the variable."""
    with pytest.raises(RuntimeError, match=why):
        imported(monkeypatch, **environ)


def settings(**environ: str) -> Settings:
    return load(CONFIG, URLS | environ)


def test_the_config_has_both_queues_with_their_dead_letter_queues() -> None:
    """Visibility 300 and 600 s; region and endpoint as boto3 finds them."""
    seen = settings()
    assert [(queue.name, queue.url, queue.dead_letter, queue.visibility_timeout) for queue in seen.queues] == [
        ("send-queue", URLS["SQS_SEND_QUEUE_URL"], URLS["SQS_SEND_DLQ_URL"], 300),
        ("batch-queue", URLS["SQS_BATCH_QUEUE_URL"], URLS["SQS_BATCH_DLQ_URL"], 600),
    ]
    assert {queue.handler for queue in seen.queues} == {"apps.notifications.handlers:deliver"}
    assert (seen.region, seen.endpoint_url) == ("", "")


def test_region_and_endpoint_have_the_applications_own_names() -> None:
    """AWS_REGION and AWS_SQS_ENDPOINT_URL."""
    seen = settings(AWS_REGION="ap-northeast-1", AWS_SQS_ENDPOINT_URL="http://localhost:4566")
    assert (seen.region, seen.endpoint_url) == ("ap-northeast-1", "http://localhost:4566")
    with pytest.raises(ConfigError, match="plain http to another machine"):
        settings(AWS_SQS_ENDPOINT_URL="http://sqs.example.com")
    assert settings(AWS_SQS_ENDPOINT_URL="http://sqs.example.com", ALLOW_INSECURE_URLS="1").allow_insecure_endpoint


@pytest.mark.parametrize("name", URLS)
def test_a_missing_queue_is_named(name: str) -> None:
    """Each required variable of the config is named by the error that lacks it."""
    with pytest.raises(ConfigError, match=f"{name} is not set"):
        load(CONFIG, {other: url for other, url in URLS.items() if other != name})
