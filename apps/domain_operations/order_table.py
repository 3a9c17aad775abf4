"""Handler process: the table of orders in DynamoDB: a row is claimed by one message at a time, and is done once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from apps.domain_operations.clients import code
from apps.domain_operations.order_rules import Order
from apps.domain_operations.rules import CLAIM, stamp

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: Nobody had the order, or its own message had, or a message whose claim has ended.
_FREE = "attribute_not_exists(order_id) OR (digest = :digest AND #status = :received AND (claimed_by = :me"
_FREE += " OR claimed_until <= :now))"
_CLAIM = "SET #status = :received, batch_id = :batch, channel = :channel, recipients = :recipients, digest = :digest,"
_CLAIM += " received_at = if_not_exists(received_at, :at), claimed_by = :me, claimed_until = :until"


class State(Enum):
    """What the row says to a message."""

    CLAIMED = "claimed"  #: the order is this message's to place
    NOTIFIED = "notified"  #: it is placed already
    BUSY = "busy"  #: another message is placing it
    ANOTHER = "another"  #: another order has its id


@dataclass(frozen=True, slots=True)
class Claim:
    """The state; of BUSY, the seconds after which the other's claim has ended."""

    state: State
    seconds: float = 0.0


class OrderTable:
    """Rows by order id; `name` is the table's, its key is `order_id`. Its methods raise ClientError."""

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self._client = client
        self._name = name

    def claim(self, order: Order, *, owner: str, now: float) -> Claim:
        """Claim the order's row for the message `owner`, and make it if there is none; `now` in seconds since 1970."""
        values: dict[str, Any] = {
            ":received": {"S": "received"},
            ":batch": {"S": order.batch_id},
            ":channel": {"S": order.channel},
            ":recipients": {"N": str(order.recipients)},
            ":digest": {"S": order.digest},
            ":at": {"S": stamp(datetime.fromtimestamp(now, UTC))},
            ":me": {"S": owner},
            ":until": {"N": f"{now + CLAIM:.3f}"},
            ":now": {"N": f"{now:.3f}"},
        }
        try:
            self._client.update_item(
                TableName=self._name,
                Key={"order_id": {"S": order.order_id}},
                UpdateExpression=_CLAIM,
                ConditionExpression=_FREE,
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues=values,
            )
        except ClientError as error:
            if code(error) != "ConditionalCheckFailedException":
                raise
        # DynamoDB has one winner. moto checks and writes in two steps, and tells two that they won: the first of them
        # finds the other's name here.
        return self._look(order, owner=owner, now=now)

    def notified(self, order: Order, *, now: float) -> None:
        """Mark the order as placed; its claim ends."""
        self._client.update_item(
            TableName=self._name,
            Key={"order_id": {"S": order.order_id}},
            UpdateExpression="SET #status = :status, notified_at = :at REMOVE claimed_by, claimed_until",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={
                ":status": {"S": "notified"},
                ":at": {"S": stamp(datetime.fromtimestamp(now, UTC))},
            },
        )

    def _look(self, order: Order, *, owner: str, now: float) -> Claim:
        key: Any = {"order_id": {"S": order.order_id}}
        row: Any = self._client.get_item(TableName=self._name, Key=key, ConsistentRead=True).get("Item", {})
        if row and row.get("digest", {}).get("S") != order.digest:
            return Claim(State.ANOTHER)
        if row.get("status", {}).get("S") == "notified":
            return Claim(State.NOTIFIED)
        if row.get("claimed_by", {}).get("S") == owner:
            return Claim(State.CLAIMED)
        until = float(row.get("claimed_until", {}).get("N", "0"))
        return Claim(State.BUSY, max(1.0, until - now))
