"""Handler process: the row of an image in DYNAMODB_TABLE, key (imageId, userId). Each change is one conditional update.

An image is uploaded again under its key as another version of the object, and messages come late and more than once. So
the row belongs to one objectVersion, the one that was uploaded last (`uploadTimestamp`): neither a version id nor a
sequencer of another bucket's state tells which of two is later.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from apps.image_pipeline import clients
from apps.image_pipeline.alerts import Letter
from apps.image_pipeline.rules import Request

#: The row is of no version yet, or of this one.
_OURS = "(attribute_not_exists(objectVersion) OR objectVersion = :version)"
#: It is of another version, which was not uploaded later.
_OLDER = (
    "(attribute_exists(objectVersion) AND objectVersion <> :version"
    " AND (attribute_not_exists(uploadTimestamp) OR uploadTimestamp <= :uploaded))"
)
_UNDONE = "NOT #status = :completed"


def mark_processing(table: str, request: Request, *, execution: str, at: str) -> str:
    """`processing`, with the execution's ARN; never over `failed` or `completed` of the same objectVersion.

    Returns why the row was left as it is, or nothing. Raises ClientError and BotoCoreError for all else.
    """
    return _update(
        table,
        key=(request.image_id, request.user_id),
        # Of an earlier version that failed.
        update="SET #status = :status, stepFunctionsArn = :arn, updatedAt = :at, objectVersion = :version,"
        " uploadTimestamp = :uploaded REMOVE errorInfo",
        condition=f"({_OURS} AND {_UNDONE} AND NOT #status = :failed) OR {_OLDER}",
        values={
            ":status": "processing",
            ":arn": execution,
            ":at": at,
            ":version": request.version,
            ":uploaded": request.uploaded,
            ":completed": "completed",
            ":failed": "failed",
        },
    )


def mark_failed(table: str, letter: Letter, *, info: dict[str, Any], at: str) -> str:
    """`failed`, with `info` as errorInfo; never over `completed` of the same objectVersion, nor a later version's row.

    A letter without objectVersion is taken to be of the row's. Returns and raises as mark_processing().
    """
    values = {":status": "failed", ":info": info, ":at": at, ":completed": "completed"}
    update, condition = "SET #status = :status, errorInfo = :info, updatedAt = :at", _UNDONE
    if letter.version is not None:
        update += ", objectVersion = :version"
        values[":version"] = letter.version
        condition = f"({_OURS} AND {_UNDONE})"
        if letter.uploaded is not None:
            update += ", uploadTimestamp = :uploaded"
            values[":uploaded"] = letter.uploaded
            condition += f" OR {_OLDER}"
    return _update(table, key=(letter.image_id, letter.user_id), update=update, condition=condition, values=values)


def _update(table: str, *, key: tuple[str, str], update: str, condition: str, values: dict[str, Any]) -> str:
    try:
        clients.dynamodb().update_item(
            TableName=table,
            Key={"imageId": {"S": key[0]}, "userId": {"S": key[1]}},
            UpdateExpression=update,
            ConditionExpression=condition,
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={name: _typed(value) for name, value in values.items()},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    except clients.dynamodb().exceptions.ConditionalCheckFailedException as error:
        return _found(error)
    return ""


def _found(error: ClientError) -> str:
    """What stands in the row that was left: only a row can fail these conditions."""
    row: dict[str, dict[str, str]] = error.response.get("Item", {})  # type: ignore[assignment]  # not in botocore's type
    status, version = (row.get(name, {}).get("S", "unknown") for name in ("status", "objectVersion"))
    return f"it is {status}, of objectVersion {version}"


def _typed(value: str | int | dict[str, Any]) -> Any:
    """A value as DynamoDB's JSON has it."""
    if isinstance(value, dict):
        return {"M": {name: _typed(inner) for name, inner in value.items()}}
    return {"N": str(value)} if isinstance(value, int) else {"S": value}
