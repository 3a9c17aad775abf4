"""Test process: the table of deliveries where DynamoDB answers with less than it was asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from apps.notifications.table import DeliveryTable, TableBusy
from tests.apps.notifications.receiver import Receiver, Reply, Request, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server that stands for DynamoDB: moto's never throttles."""
    with receiving() as one:
        yield one


@pytest.fixture
def table(receiver: Receiver) -> Iterator[DeliveryTable]:
    dynamodb = boto3.client(
        "dynamodb",
        endpoint_url=receiver.url,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    yield DeliveryTable(dynamodb, name="deliveries")
    dynamodb.close()


def answer(request: Request, *, read: int) -> Reply:
    """BatchGetItem that reads so many of its keys, all of which have a row."""
    asked: dict[str, Any] = request.said["RequestItems"]["deliveries"]
    assert asked["ConsistentRead"] is True
    rows = [{"recipient_id": key["recipient_id"]} for key in asked["Keys"][:read]]
    left = {"deliveries": asked | {"Keys": asked["Keys"][read:]}} if asked["Keys"][read:] else {}
    body = json.dumps({"Responses": {"deliveries": rows}, "UnprocessedKeys": left}).encode()
    return Reply(headers={"Content-Type": "application/x-amz-json-1.0"}, body=body)


def test_what_was_left_unread_is_asked_for_again(receiver: Receiver, table: DeliveryTable) -> None:
    """Each recipient is found, by as many calls as it takes."""
    receiver.reply = lambda request: answer(request, read=40)
    assert table.delivered("b", [str(number) for number in range(100)]) == {str(number) for number in range(100)}
    assert len(receiver.requests) == 3


def test_a_table_that_reads_nothing_is_busy(receiver: Receiver, table: DeliveryTable) -> None:
    """Not an empty answer: that would deliver to everybody again."""
    receiver.reply = lambda request: answer(request, read=0)
    with pytest.raises(TableBusy, match="table deliveries left 2 of the keys unread"):
        table.delivered("b", ["1", "2"])
