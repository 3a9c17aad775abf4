"""Handler process: the table of who has been delivered to: a row for each recipient of a batch."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from apps.notifications.environment import region, required

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: Keys of one BatchGetItem.
#: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
_MOST_KEYS = 100
#: Days after which a row may go: SQS keeps a message 14 days, a dead-letter queue as long again, a redrive starts anew.
_KEPT = 60
#: Short: a handler process waits for nobody long, and the message comes again.
_CONFIG = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 2, "mode": "standard"})


class TableBusy(RuntimeError):
    """DynamoDB left keys unread; the message is tried again."""


class DeliveryTable:
    """NOTIFICATIONS_TABLE: key `batch_id` and `recipient_id`. Threads share it. Errors of boto3 pass through."""

    def __init__(self, dynamodb: DynamoDBClient, *, name: str) -> None:
        self._dynamodb, self._name = dynamodb, name

    def delivered(self, batch_id: str, recipient_ids: Iterable[str]) -> set[str]:
        """Which of these have a row, by a consistent read. Raises TableBusy."""
        ids = iter(dict.fromkeys(recipient_ids))
        found: set[str] = set()
        while some := list(islice(ids, _MOST_KEYS)):
            found.update(self._read([_key(batch_id, one) for one in some]))
        return found

    def mark(self, batch_id: str, recipient_id: str, *, channel: str) -> None:
        """Record a delivery; a second time changes nothing but the times."""
        now = time.time()
        row = _key(batch_id, recipient_id) | {
            "channel": {"S": channel},
            "delivered_at": {"S": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")},
            "expires": {"N": str(int(now) + _KEPT * 86_400)},
        }
        self._dynamodb.put_item(TableName=self._name, Item=row)

    def _read(self, keys: list[Any]) -> Iterator[str]:
        # 100 keys of 1 KiB are far below the 16 MiB of an answer: what is left unread is throttled.
        for _ in range(3):
            asked: Any = {self._name: {"Keys": keys, "ConsistentRead": True, "ProjectionExpression": "recipient_id"}}
            answer = self._dynamodb.batch_get_item(RequestItems=asked)
            yield from (row["recipient_id"]["S"] for row in answer["Responses"].get(self._name, []))
            left: Mapping[str, Any] = answer.get("UnprocessedKeys") or {}
            if not left:
                return
            keys = left[self._name]["Keys"]
        raise TableBusy(f"table {self._name} left {len(keys)} of the keys unread: its read capacity is used up")


def from_environment(environ: Mapping[str, str]) -> DeliveryTable:
    """NOTIFICATIONS_TABLE; endpoint and credentials are boto3's own. Raises Misconfigured."""
    name = required(environ, "NOTIFICATIONS_TABLE", purpose="the DynamoDB table of who has been delivered to")
    return DeliveryTable(boto3.client("dynamodb", region_name=region(environ), config=_CONFIG), name=name)


def _key(batch_id: str, recipient_id: str) -> dict[str, Any]:
    return {"batch_id": {"S": batch_id}, "recipient_id": {"S": recipient_id}}
