"""Test process: message_store as it is run, `worker run` in processes of its own against the SQS server and moto."""

from __future__ import annotations

import json
import os
import signal
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from tests.apps.conftest import RunApp, RunningPool, depth, make_queue, take_all
from tests.apps.message_store.conftest import TABLE, Door, metric
from tests.conftest import eventually

Items = Callable[[], dict[str, dict[str, str]]]
GROUPS, EACH = 6, 10
METRICS = (
    *("MessagesSaved", "DuplicateMessages", "InvalidMessages", "DynamoDBCheckError", "DynamoDBSaveError"),
    *("MessagesDeleted", "SQSDeleteError", "SQSGetURLError"),
)
QUICK = ("queues.messages.wait=1", "queues.messages.retry.first=0.2", "queues.messages.handlers=2")

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("aws_services")]


def queues(name: str) -> tuple[Any, str, str]:
    """SQS, the queue's URL, and that of its dead-letter queue, as the README makes them."""
    sqs = boto3.client("sqs")
    dead = make_queue(sqs, f"{name}-dlq.fifo")
    return sqs, make_queue(sqs, f"{name}.fifo", dead_letter=dead, receives=3), dead


def send(sqs: Any, url: str, body: str, *, group: str, **more: Any) -> str:
    unique = os.urandom(8).hex()
    sent = sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId=group, MessageDeduplicationId=unique, **more)
    return str(sent["MessageId"])


def actions(pool: RunningPool, action: str, status: str) -> list[dict[str, Any]]:
    """The application's lines of a kind, and the pool's of deletes, in the order in which they were written."""
    found = [line for line in pool.lines() if line.get("action") == action and line.get("status") == status]
    assert all(tuple(line) == ("trace_id", "action", "status", "details", "timestamp") for line in found)
    return found


@pytest.mark.parametrize("by", ["name", "url"])
def test_every_key_is_saved_once_in_order_and_what_is_invalid_is_kept(table: Items, run_app: RunApp, by: str) -> None:
    """Items hold the bodies as they were sent; repeated keys change nothing; bad JSON is in the dead-letter queue.

    CloudWatch has a count for each message, by handlers and by the poller, and the log tells each one's way to its end.
    """
    name = f"message-store-{by}"
    sqs, url, dead = queues(name)
    sent: dict[str, str] = {}
    order: dict[str, list[str]] = defaultdict(list)
    for number in range(EACH):
        for group in (f"g{n}" for n in range(GROUPS)):
            key, body = f"{group}-{number}", f'{{"message_id": "{group}-{number}", "price": {number}.10}}'
            send(sqs, url, body, group=group)
            sent[key] = body
            order[group].append(key)
    header = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-67891233-abcdef012345678912345678"}}
    for group in ("g0", "g1", "g2"):
        send(sqs, url, f'{{"message_id": "{group}-3", "price": "another"}}', group=group)
    broken = send(sqs, url, '{"message_id": "g1', group="g1")
    plain = send(sqs, url, '["no id"]', group="g2", MessageSystemAttributes=header)
    sent[plain] = '["no id"]'
    total = GROUPS * EACH + 3 + 2

    given = {"QUEUE_NAME": f"{name}.fifo"} if by == "name" else {"QUEUE_URL": url}
    environment = {"DYNAMO_TABLE": TABLE, "REGION": "us-east-1", "METRICS_PERIOD": "1", **given}
    with run_app("message_store", environment, sets=QUICK) as pool:
        pool.until(lambda: (depth(sqs, url), depth(sqs, dead)) == ((0, 0), (1, 0)))
        counts = {"MessagesSaved": len(sent), "DuplicateMessages": 3, "InvalidMessages": 1, "MessagesDeleted": total}
        pool.until(lambda: {one: metric(one, f"{name}.fifo") for one in METRICS} == dict.fromkeys(METRICS, 0) | counts)
        pool.drain()

    items = table()
    assert {key: item["body"] for key, item in items.items()} == sent
    assert all(item["queue_name"] == f"{name}.fifo" and item["sent_at"] <= item["saved_at"] for item in items.values())
    assert {key: item["group_id"] for key, item in items.items() if key != plain} == {
        key: key.partition("-")[0] for key in sent if key != plain
    }
    (kept,) = take_all(sqs, dead)
    assert (kept["Body"], kept["Attributes"]["MessageGroupId"]) == ('{"message_id": "g1', "g1")

    saved = [line["details"] for line in actions(pool, "dynamodb_save", "success")]
    for group, keys in order.items():
        assert [one["key"] for one in saved if one["group_id"] == group and one["key"] != plain] == keys
    assert len(actions(pool, "message_received", "info")) == total
    assert len(actions(pool, "message_skipped", "info")) == 3
    (skipped,) = actions(pool, "message_skipped", "error")
    assert skipped["details"]["message_id"] == broken
    deleted = actions(pool, "sqs_delete_message", "success")
    assert len({line["details"]["message_id"] for line in deleted}) == len(deleted) == total
    assert {line["details"]["queue_name"] for line in deleted} == {f"{name}.fifo"}
    traced = [line["action"] for line in pool.lines() if line.get("trace_id") == "1-67891233-abcdef012345678912345678"]
    assert traced == ["message_received", "dynamodb_save", "sqs_delete_message"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_killed_handler_loses_and_doubles_nothing(table: Items, run_app: RunApp, door: Door, when: str) -> None:
    """SIGKILL while a put is on its way, not done or done and not answered: each key has one item, all are deleted.

    What is behind in the group still comes after it.
    """
    sqs, url, dead = queues(f"message-store-killed-{when}")
    keys = [f"k{number}" for number in range(8)]
    for key in keys:
        send(sqs, url, json.dumps({"message_id": key}), group="one")
    door.held = {"PutItem": when}
    environment = {"QUEUE_URL": url, "DYNAMO_TABLE": TABLE, "REGION": "us-east-1"}
    with run_app("message_store", environment, sets=(*QUICK, "queues.messages.handlers=1")) as pool:
        pool.until(lambda: door.waiting == 1)
        assert len(table()) == (when == "after")
        (victim,) = pool.handlers("messages", state="busy")
        os.kill(victim, signal.SIGKILL)
        door.held = {}
        door.open.set()
        pool.until(lambda: depth(sqs, url) == (0, 0))
        pool.drain()
    assert sorted(table()) == keys
    assert depth(sqs, dead) == (0, 0)
    done = [
        line["details"]["key"] for line in pool.lines() if line.get("action") in ("dynamodb_save", "message_skipped")
    ]
    assert done == keys
    assert len(actions(pool, "sqs_delete_message", "success")) == len(keys)


def test_a_dynamodb_that_fails_for_a_while_costs_nothing(table: Items, run_app: RunApp, door: Door) -> None:
    """Messages wait in the pool and are saved in order once it answers; none is in the dead-letter queue."""
    sqs, url, dead = queues("message-store-away")
    for number in range(5):
        send(sqs, url, json.dumps({"message_id": f"k{number}"}), group="one")
    door.failing = {"GetItem"}
    environment = {"QUEUE_URL": url, "DYNAMO_TABLE": TABLE, "REGION": "us-east-1"}
    with run_app("message_store", environment, sets=QUICK) as pool:
        pool.until(lambda: len(actions(pool, "dynamodb_save", "error")) >= 4)
        door.failing = set()
        pool.until(lambda: depth(sqs, url) == (0, 0))
        pool.drain()
    assert [line["details"]["key"] for line in actions(pool, "dynamodb_save", "success")] == [f"k{n}" for n in range(5)]
    assert depth(sqs, dead) == (0, 0)
    assert len(table()) == 5
    assert metric("DynamoDBCheckError", "message-store-away.fifo") == len(actions(pool, "dynamodb_save", "error"))


def test_a_queue_that_is_not_there_ends_the_start_and_is_counted(table: Items, run_app: RunApp) -> None:
    """Exit code 78, the name in the log, and SQSGetURLError in CloudWatch."""
    environment = {"QUEUE_NAME": "message-store-nowhere.fifo", "DYNAMO_TABLE": TABLE, "REGION": "us-east-1"}
    with run_app("message_store", environment) as pool:
        eventually(lambda: pool.process.poll() is not None, seconds=60)
    assert pool.process.returncode == 78
    assert any("message-store-nowhere.fifo" in str(line) for line in pool.lines() if line.get("level") == "error")
    assert metric("SQSGetURLError", "message-store-nowhere.fifo") == 1
