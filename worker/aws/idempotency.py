"""Handler process: keys in a DynamoDB table, by conditional writes; the mark may be part of a function's transaction.

Records in DynamoDB's shapes, and what its refusals mean. Dicts end here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from worker.aws.dynamodb import Cancelled, NotMet, Table, make_client
from worker.policy.idempotency import (
    DONE,
    IN_PROGRESS,
    KeyLost,
    Record,
    Standing,
    StoreFailed,
    Taken,
    TransactionRefused,
    marked,
    standing,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

#: Seconds before a transaction that crossed another one is tried again.
_CROSSED = (0.05, 0.2, 0.5)
#: Items of a transaction, the mark among them.
#: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
_MOST_ITEMS = 100

#: All but the key are reserved words of DynamoDB, or might become some.
_NAMES = {"#state": "state", "#owner": "owner", "#until": "until", "#expires": "expires", "#result": "result"}
_OURS = "#state = :progress AND #owner = :owner"
_FREE = "attribute_not_exists(id) OR (#state = :progress AND #until <= :now) OR (#state = :done AND #expires <= :now)"
#: Reasons of a cancelled transaction that pass by themselves.
_PASSING = {"None", "TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError"}


class DynamoDBStore:
    """Of one table, whose partition key is `id` (text). Region, endpoint and credentials are boto3's own.

    Its other attributes are `state`, `owner`, `until` and `expires` (seconds since 1970; the table's TTL attribute is
    `expires`), and `result`. `region` and `endpoint_url` go before the environment's. `client` makes a DynamoDB client
    of boto3 or botocore, once in each process, where it needs a role or settings of its own. It may be shared by
    threads. How to create the table, and what permissions it takes: docs/idempotency.md.
    """

    def __init__(
        self,
        table: str,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        client: Callable[[], DynamoDBClient] | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        if not table:
            raise ValueError("DynamoDBStore needs the name of a table")
        self.table = table
        self._table = Table(table, client or partial(make_client, region, endpoint_url))
        self._pause = pause

    def begin(self, key: str, *, owner: str, now: float, until: float) -> Standing:
        """As in Store: one conditional PutItem, whose refusal brings what is there."""
        item = {"id": _text(key), "state": _text(IN_PROGRESS), "owner": _text(owner), "until": _number(until)}
        values = {":progress": _text(IN_PROGRESS), ":done": _text(DONE), ":now": _number(now)}
        try:
            self._table.ask(
                "put_item",
                TableName=self.table,
                Item=item | {"expires": _second(until)},
                ConditionExpression=_FREE,
                ExpressionAttributeNames=_names("#state", "#until", "#expires"),
                ExpressionAttributeValues=values,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except NotMet as error:
            return standing(self._record(error.item), owner=owner)
        return Taken()

    def extend(self, key: str, *, owner: str, until: float) -> bool:
        """As in Store."""
        values = {":progress": _text(IN_PROGRESS), ":owner": _text(owner)}
        try:
            self._table.ask(
                "update_item",
                TableName=self.table,
                Key={"id": _text(key)},
                UpdateExpression="SET #until = :until, #expires = :expires",
                ConditionExpression=_OURS,
                ExpressionAttributeNames=_names("#state", "#owner", "#until", "#expires"),
                ExpressionAttributeValues=values | {":until": _number(until), ":expires": _second(until)},
            )
        except NotMet:
            return False
        return True

    def mark(self, key: str, *, owner: str, result: str | None, expires: float) -> bool:
        """As in Store."""
        update = self.marking_item(key, owner=owner, result=result, expires=expires)["Update"]
        try:
            self._table.ask("update_item", **update)
        except NotMet as error:
            return marked(self._record(error.item) if error.item else None, owner=owner)
        return True

    def release(self, key: str, *, owner: str) -> None:
        """As in Store."""
        try:
            self._table.ask(
                "delete_item",
                TableName=self.table,
                Key={"id": _text(key)},
                ConditionExpression=_OURS,
                ExpressionAttributeNames=_names("#state", "#owner"),
                ExpressionAttributeValues={":progress": _text(IN_PROGRESS), ":owner": _text(owner)},
            )
        except NotMet:
            return

    def is_marked(self, key: str, *, owner: str) -> bool:
        """As in Store: a consistent read."""
        found = self._table.ask("get_item", TableName=self.table, Key={"id": _text(key)}, ConsistentRead=True).get(
            "Item"
        )
        return marked(self._record(found) if found else None, owner=owner)

    def marking_item(self, key: str, *, owner: str, result: str | None, expires: float) -> dict[str, Any]:
        """The mark as one of the TransactItems of TransactWriteItems."""
        kept = {} if result is None else {":result": _text(result)}
        values = {":progress": _text(IN_PROGRESS), ":done": _text(DONE), ":owner": _text(owner)}
        update = {
            "TableName": self.table,
            "Key": {"id": _text(key)},
            "UpdateExpression": f"SET #state = :done, #expires = :expires{', #result = :result' if kept else ''} "
            "REMOVE #until",
            "ConditionExpression": _OURS,
            "ExpressionAttributeNames": _names(
                "#state", "#owner", "#until", "#expires", *(["#result"] if kept else [])
            ),
            "ExpressionAttributeValues": values | {":expires": _second(expires)} | kept,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        return {"Update": update}

    def commit(
        self, items: Sequence[Mapping[str, Any]], *, key: str, owner: str, result: str | None, expires: float
    ) -> None:
        """As in Store: one TransactWriteItems, which is tried again where it crossed another one."""
        if not 0 < len(items) < _MOST_ITEMS:
            raise ValueError(f"a transaction has 1 to {_MOST_ITEMS - 1} items beside the mark, not {len(items)}")
        whole = [*items, self.marking_item(key, owner=owner, result=result, expires=expires)]
        for pause in (*_CROSSED, None):
            reasons = self._transact(whole)
            if reasons is None or marked(self._standing_of(reasons), owner=owner):
                return
            codes = [str(reason.get("Code", "None")) for reason in reasons]
            if codes[-1] == "ConditionalCheckFailed":
                raise KeyLost("the lease on an idempotency key was over before its transaction: nothing was written")
            if not _PASSING.issuperset(codes):
                raise TransactionRefused(codes[:-1])
            if pause is None:
                raise StoreFailed(
                    self._table.text("transact_write_items", f"it crossed others each time: {set(codes)}")
                )
            self._pause(pause)

    def _transact(self, items: list[Mapping[str, Any]]) -> list[dict[str, Any]] | None:
        """None, or the reasons why it was cancelled, one for each item."""
        try:
            self._table.ask("transact_write_items", TransactItems=items)
        except Cancelled as error:
            return error.reasons
        return None

    def _standing_of(self, reasons: list[dict[str, Any]]) -> Record | None:
        """What there is for the key, if its condition was not met."""
        found = reasons[-1].get("Item") if reasons else None
        return self._record(found) if found else None

    def _record(self, item: Mapping[str, Any]) -> Record:
        try:
            return Record(
                state=item["state"]["S"],
                owner=item["owner"]["S"],
                until=float(item.get("until", {"N": "0"})["N"]),
                result=item["result"]["S"] if "result" in item else None,
                expires=float(item["expires"]["N"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise StoreFailed(
                self._table.text("reading", f"an item of this key is no record of ours ({error!r})")
            ) from None


def _names(*names: str) -> dict[str, str]:
    """Those that an expression uses: DynamoDB refuses others."""
    return {name: _NAMES[name] for name in names}


def _text(value: str) -> dict[str, str]:
    return {"S": value}


def _number(seconds: float) -> dict[str, str]:
    return {"N": f"{seconds:.3f}"}


def _second(seconds: float) -> dict[str, str]:
    """A whole one, not earlier: DynamoDB's TTL takes no fractions."""
    return {"N": str(math.ceil(seconds))}
