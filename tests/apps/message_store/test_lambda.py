"""Test process: the same handler function behind Lambda's event source mapping."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.apps.message_store.conftest import Door, Import, metric
from tests.aws_lambda.events import Context
from tests.conftest import eventually

Items = Callable[[], dict[str, dict[str, str]]]
ARN = "arn:aws:sqs:us-east-1:000000000000:lambda.fifo"


def event(*messages: tuple[str, str, Any]) -> dict[str, Any]:
    """Of (message id, group, body) each."""
    return {
        "Records": [
            {
                "messageId": message_id,
                "receiptHandle": "r",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {
                    "MessageGroupId": group,
                    "SentTimestamp": "1735689600000",
                    "ApproximateReceiveCount": "1",
                },
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": ARN,
                "awsRegion": "us-east-1",
            }
            for message_id, group, body in messages
        ]
    }


@pytest.fixture
def handler(door: Door, fresh: Import, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, Any], Any]:
    """As Lambda imports it, behind the door: there is no queue in its environment."""
    monkeypatch.delenv("QUEUE_NAME")
    function: Callable[[Any, Any], Any] = fresh("lambda_function").lambda_handler
    return function


def test_messages_are_saved_and_the_metrics_are_put_before_it_returns(
    handler: Callable[[Any, Any], Any], table: Items
) -> None:
    """A repeated one is done too; the queue's name is the event's."""
    sent = event(("1", "a", {"message_id": "m-1"}), ("2", "a", {"message_id": "m-1"}), ("3", "b", {"n": 3}))
    assert handler(sent, None) == {"batchItemFailures": []}
    assert sorted(table()) == ["3", "m-1"]
    assert {item["queue_name"] for item in table().values()} == {"lambda.fifo"}
    assert (metric("MessagesSaved", "lambda.fifo"), metric("DuplicateMessages", "lambda.fifo")) == (2, 1)


def test_an_invalid_message_fails_with_the_rest_of_its_group_unrun(
    handler: Callable[[Any, Any], Any], table: Items
) -> None:
    """Other groups go on; SQS gives the failed ones out again, in order."""
    sent = event(("1", "a", {"n": 1}), ("2", "a", "no JSON"), ("3", "a", {"n": 3}), ("4", "b", {"n": 4}))
    assert handler(sent, None) == {"batchItemFailures": [{"itemIdentifier": "2"}, {"itemIdentifier": "3"}]}
    assert sorted(table()) == ["1", "4"]
    assert metric("InvalidMessages", "lambda.fifo") == 1


def test_a_failure_of_dynamodb_fails_its_messages_alone(
    handler: Callable[[Any, Any], Any], table: Items, door: Door
) -> None:
    """Retry and Reject both fail the item; nothing is acked that is not in the table."""
    door.failing = {"PutItem"}
    sent = event(("1", "a", {"n": 1}), ("2", "b", "no JSON"))
    assert handler(sent, None) == {"batchItemFailures": [{"itemIdentifier": "1"}, {"itemIdentifier": "2"}]}
    assert table() == {}
    assert metric("DynamoDBSaveError", "lambda.fifo") == 1


def test_a_silent_cloudwatch_does_not_cost_the_answer(
    fresh: Import, table: Items, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metrics have what is left of the invocation, less a reserve, and five seconds at most."""
    monkeypatch.setenv("METRICS_PERIOD", "86400")  # no second try, once the port may be somebody else's
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", f"http://127.0.0.1:{silent.getsockname()[1]}")
        function = fresh("lambda_function")
        assert function.lambda_handler(event(("1", "a", {"n": 1})), Context(remaining=3.0)) == {"batchItemFailures": []}
    (metrics,) = function.handlers._metrics.values()
    eventually(lambda: not metrics._putting, seconds=60)
    assert sorted(table()) == ["1"]
    assert [function.patience(one) for one in (Context(remaining=3.0), Context(remaining=0.1), Context(), None)] == [
        pytest.approx(2.7),
        0.0,
        5.0,
        5.0,
    ]
