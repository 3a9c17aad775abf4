"""Handler process: the table of domains in DynamoDB; each write demands that nobody wrote in between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from apps.domain_operations.clients import code
from apps.domain_operations.rules import BadChange, Row, stamp, timestamp

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_FIELDS = (
    "status",
    "tenant_id",
    "hosted_zone_id",
    "name_servers",
    "generation",
    "updated_at",
    "idempotency_keys",
    "claimed_by",
    "claimed_until",
)


class Overtaken(Exception):
    """Somebody else wrote the row since it was read: what was decided by it may not hold any more."""


class BrokenRow(ValueError):
    """The row holds what this application never writes. Nothing was changed."""


class DomainTable:
    """Rows by domain; `name` is the table's, its key is `domain`."""

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self._client = client
        self._name = name

    def read(self, domain: str) -> Row:
        """The row as it is now; a new one, with nothing in it, if the domain has none. Raises BrokenRow."""
        answer = self._client.get_item(TableName=self._name, Key={"domain": {"S": domain}}, ConsistentRead=True)
        try:
            return _row(domain, answer.get("Item", {}))
        except (TypeError, ValueError, BadChange) as error:
            raise BrokenRow(f"the row of {domain} in table {self._name} cannot be read: {error}; repair it") from None

    def write(self, row: Row) -> Row:
        """Write the row that was read, or written last, by this caller, with its changes; as it is then. Overtaken.

        Attributes that others have added to the item stay.
        """
        new = replace(row, revision=row.revision + 1)
        values = {name: _value(getattr(new, name)) for name in (*_FIELDS, "revision")}
        there = {name: value for name, value in values.items() if value is not None}
        gone = [name for name, value in values.items() if value is None]
        # status is a reserved word, and who knows which comes next: all names go by an alias.
        update = "SET " + ", ".join(f"#{name} = :{name}" for name in there)
        update += f" REMOVE {', '.join(f'#{name}' for name in gone)}" if gone else ""
        seen = {":seen": row.revision} if row.revision else {}
        serialize = TypeSerializer().serialize
        try:
            self._client.update_item(
                TableName=self._name,
                Key={"domain": {"S": row.domain}},
                UpdateExpression=update,
                ConditionExpression="#revision = :seen" if row.revision else "attribute_not_exists(#revision)",
                ExpressionAttributeNames={f"#{name}": name for name in values},
                ExpressionAttributeValues={
                    name: serialize(value)
                    for name, value in {**{f":{name}": value for name, value in there.items()}, **seen}.items()
                },
            )
        except self._client.exceptions.ClientError as error:
            if code(error) == "ConditionalCheckFailedException":
                raise Overtaken(f"the row of {row.domain} was written by somebody else") from None
            raise
        return new


def _value(value: object) -> Any:
    """As DynamoDB takes it; None is an attribute that is not there."""
    if isinstance(value, float):
        return Decimal(str(round(value, 3)))
    if isinstance(value, tuple):
        return list(value)
    return value if value is None or isinstance(value, str | int) else stamp(value)  # type: ignore[arg-type]  # a datetime


def _row(domain: str, item: Mapping[str, Any]) -> Row:
    found = {name: TypeDeserializer().deserialize(value) for name, value in item.items()}
    updated_at, until = found.get("updated_at"), found.get("claimed_until")
    return Row(
        domain=domain,
        status=str(found.get("status") or ""),
        tenant_id=_text(found.get("tenant_id")),
        hosted_zone_id=_text(found.get("hosted_zone_id")),
        name_servers=tuple(map(str, found.get("name_servers") or ())),
        generation=int(found.get("generation") or 0),
        updated_at=None if updated_at is None else timestamp(updated_at),
        idempotency_keys=tuple(map(str, found.get("idempotency_keys") or ())),
        claimed_by=_text(found.get("claimed_by")),
        claimed_until=None if until is None else float(until),
        revision=int(found.get("revision") or 0),
    )


def _text(value: object) -> str | None:
    return str(value) if value else None
