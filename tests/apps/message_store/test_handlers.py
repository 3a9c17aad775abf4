"""Test process: the handler function on a real table (moto's), in this process; see apps/message_store/handlers.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.apps.message_store.conftest import QUEUE, TABLE, Door, Import, metric
from tests.conftest import eventually
from worker.config import ConfigError, load
from worker.testing.run_inline import Kind, run_inline

CONFIG = Path(__file__).parents[3] / "apps/message_store/worker.toml"
METRICS = ("MessagesSaved", "DuplicateMessages", "InvalidMessages", "DynamoDBCheckError", "DynamoDBSaveError")
Items = Callable[[], dict[str, dict[str, str]]]


def lines(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The application's lines on standard error; the traceback of a failure is none."""
    return [json.loads(one) for one in capfd.readouterr().err.splitlines() if one.startswith('{"trace_id"')]


def told(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(one["action"], one["status"]) for one in found]


def counted(fresh: Import, **expected: int) -> None:
    """What CloudWatch has once the process has stopped: these, and of the others nothing."""
    fresh("handlers").stop()
    eventually(lambda: {name: metric(name) for name in METRICS if metric(name)} == expected, seconds=60)


def test_a_message_is_saved_and_its_second_delivery_is_skipped(
    fresh: Import, table: Items, capfd: pytest.CaptureFixture[str]
) -> None:
    """Both are acked; the item is the first one's."""
    save = fresh("handlers").save
    attributes = {"SentTimestamp": "1735689600000", "AWSTraceHeader": "Root=1-2-3"}
    assert run_inline(save, '{"message_id": "m-1", "n": 1}', group="g-1", attributes=attributes).kind is Kind.ACK
    (item,) = table().values()
    assert (item["body"], item["group_id"], item["queue_name"]) == ('{"message_id": "m-1", "n": 1}', "g-1", QUEUE)
    assert item["sent_at"] == "2025-01-01T00:00:00.000Z"
    assert item["saved_at"] > item["sent_at"]
    assert run_inline(save, '{"message_id": "m-1", "n": 2}', group="g-1").kind is Kind.ACK
    assert table() == {"m-1": item}
    found = lines(capfd)
    assert told(found) == [
        ("message_received", "info"),
        ("dynamodb_save", "success"),
        ("message_received", "info"),
        ("message_skipped", "info"),
    ]
    assert {tuple(one) for one in found} == {("trace_id", "action", "status", "details", "timestamp")}
    assert {one["details"]["queue_name"] for one in found} == {QUEUE}
    assert [one["trace_id"] for one in found[:2]] == ["1-2-3", "1-2-3"]
    counted(fresh, MessagesSaved=1, DuplicateMessages=1)


def test_what_another_process_saves_between_check_and_put_is_a_duplicate(
    fresh: Import, table: Items, door: Door
) -> None:
    """The condition of the put decides, and the other's item stays."""
    theirs = {"message_id": {"S": "m-1"}, "body": {"S": "theirs"}}
    direct = boto3.client("dynamodb", endpoint_url=None)
    door.between = lambda: direct.put_item(TableName=TABLE, Item=theirs)  # type: ignore[assignment, return-value]
    assert run_inline(fresh("handlers").save, {"message_id": "m-1"}).kind is Kind.ACK
    assert table()["m-1"]["body"] == "theirs"
    counted(fresh, DuplicateMessages=1)


@pytest.mark.parametrize("body", ["no JSON", '{"message_id": []}'])
def test_what_can_never_be_saved_is_rejected(
    fresh: Import, table: Items, capfd: pytest.CaptureFixture[str], body: str
) -> None:
    """To the dead-letter queue, with a reason; nothing is in the table."""
    outcome = run_inline(fresh("handlers").save, body)
    assert outcome.kind is Kind.REJECT
    assert table() == {}
    found = lines(capfd)
    assert told(found) == [("message_received", "info"), ("message_skipped", "error")]
    assert found[-1]["details"]["reason"] == outcome.reason
    counted(fresh, InvalidMessages=1)


@pytest.mark.parametrize(
    ("action", "name", "step"), [("GetItem", "DynamoDBCheckError", "check"), ("PutItem", "DynamoDBSaveError", "save")]
)
def test_a_failure_of_dynamodb_is_a_retry(
    fresh: Import,
    table: Items,
    door: Door,
    capfd: pytest.CaptureFixture[str],
    *,
    action: str,
    name: str,
    step: str,
) -> None:
    """Counted by its step and told with its reason; once DynamoDB answers again, the message is saved."""
    save = fresh("handlers").save
    door.failing = {action}
    assert run_inline(save, {"message_id": "m-1"}).kind is Kind.RETRY
    assert table() == {}
    found = lines(capfd)
    assert told(found) == [("message_received", "info"), ("dynamodb_save", "error")]
    assert found[-1]["details"]["step"] == step
    assert "InternalServerError" in found[-1]["details"]["error"]
    door.failing = set()
    assert run_inline(save, {"message_id": "m-1"}).kind is Kind.ACK
    assert list(table()) == ["m-1"]
    counted(fresh, MessagesSaved=1, **{name: 1})


def test_without_a_table_nothing_starts(fresh: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    """The import fails, and names the variable."""
    monkeypatch.setenv("DYNAMO_TABLE", "")
    with pytest.raises(RuntimeError, match="DYNAMO_TABLE is not set"):
        fresh("handlers")


def test_the_queue_is_given_by_url_or_by_name(tmp_path: Path) -> None:
    """One of the two; neither, and both, are faults that say so."""
    config = tmp_path / "worker.toml"  # a copy of our own: a clone under umask 002 is group-writable
    config.write_text(CONFIG.read_text())
    config.chmod(0o600)
    url = "https://sqs.eu-west-1.amazonaws.com/123456789012/messages.fifo"
    assert load(config, {"QUEUE_NAME": "messages.fifo"}).queues[0].queue_name == "messages.fifo"
    settings = load(config, {"QUEUE_URL": url, "REGION": "eu-central-1", "METRICS_PERIOD": "5"})
    (queue,) = settings.queues
    assert (queue.url, settings.region, queue.cloudwatch.period) == (url, "eu-central-1", 5.0)
    assert (queue.cloudwatch.namespace, queue.cloudwatch.log_deletes_as) == ("MessageStore", "sqs_delete_message")
    with pytest.raises(ConfigError, match="no queue is named: write one of url, name and ssm"):
        load(config, {})
    with pytest.raises(ConfigError, match="2 names: keep one of url, name"):
        load(config, {"QUEUE_NAME": "messages.fifo", "QUEUE_URL": url})
