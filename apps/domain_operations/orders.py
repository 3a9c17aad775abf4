"""Handler process: an order becomes a row of ORDERS_TABLE, once, and a notification, which its recipients get once.

The row is written on the condition that there is none, with the status `received`; the notification is sent, and
confirmed by SQS; the row becomes `notified`. An order that comes again finds `notified` and is done. One whose process
died in between is notified again, as the same batch, which the notifications application delivers once.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from apps.domain_operations import clients
from apps.domain_operations.logs import say
from apps.domain_operations.order_rules import BadOrder, Order, read
from apps.domain_operations.rules import stamp
from worker import Message, Producer, Reject, Sending

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ORDERS_TABLE = clients.required("ORDERS_TABLE", "the DynamoDB table of orders, key `order_id`")
NOTIFICATION_QUEUE = f"notification-{clients.required('ENVIRONMENT', 'dev, staging or prod: it names the queues')}"
ROLE_ARN = os.environ.get("DOMAIN_QUEUE_ROLE_ARN", "")


class NotSent(Exception):
    """SQS did not take the order's notification; the order is tried again."""


def place_order(message: Message) -> None:
    """An order. What is none is rejected, and so is another order under an id that is taken."""
    try:
        order = read(message.body)
    except BadOrder as error:
        raise Reject(str(error)) from None
    about = {"message": message.id, "order": order.order_id}
    there = _receive(order)
    if there.get("digest") != order.digest:
        raise Reject(f"order {order.order_id!a} exists, and says something else")
    if there.get("status") == "notified":
        say("info", "order_repeated", **about)
        return
    result = _producer().send_many(Sending(body) for body in order.notifications)
    if result.failed:
        _, code, reason = result.failed[0]
        raise NotSent(f"order {order.order_id!a}: {len(result.failed)} notifications not sent: {code}: {reason}")
    _notified(order)
    say("info", "order_placed", **about, recipients=order.recipients)


def _receive(order: Order) -> dict[str, str]:
    """The texts of the order's row, which is made if there is none."""
    row = {
        "order_id": order.order_id,
        "status": "received",
        "batch_id": order.batch_id,
        "channel": order.channel,
        "digest": order.digest,
        "received_at": stamp(datetime.now(UTC)),
    }
    try:
        _dynamodb().put_item(
            TableName=ORDERS_TABLE,
            Item={name: {"S": text} for name, text in row.items()} | {"recipients": {"N": str(order.recipients)}},
            ConditionExpression="attribute_not_exists(order_id)",
        )
    except ClientError as error:
        if clients.code(error) != "ConditionalCheckFailedException":
            raise
        key = {"order_id": {"S": order.order_id}}
        found = _dynamodb().get_item(TableName=ORDERS_TABLE, Key=key, ConsistentRead=True).get("Item", {})
        return {name: value["S"] for name, value in found.items() if "S" in value}
    return row


def _notified(order: Order) -> None:
    _dynamodb().update_item(
        TableName=ORDERS_TABLE,
        Key={"order_id": {"S": order.order_id}},
        UpdateExpression="SET #status = :status, notified_at = :at",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":status": {"S": "notified"}, ":at": {"S": stamp(datetime.now(UTC))}},
    )


@cache
def _dynamodb() -> DynamoDBClient:
    return clients.dynamodb()


@cache
def _producer() -> Producer:
    """Looks the queue up at its first send. It gives up well before a handler function's time is over."""
    return Producer(NOTIFICATION_QUEUE, role_arn=ROLE_ARN or None, timeout=30.0)
