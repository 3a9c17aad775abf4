"""SQS server process: what the three batch actions have in common: the rules for entries and their ids."""

import re
from typing import Any, Final

from worker.testing.sqs_server import limits
from worker.testing.sqs_server.errors import SqsError, missing_parameter
from worker.testing.sqs_server.fields import text

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)


def entries(request: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """The entries of a batch; `kind` is the name of their type. Raises what makes SQS refuse the whole batch."""
    given = request.get("Entries")
    if given is None:
        raise missing_parameter("Entries")
    if not isinstance(given, list):
        raise SqsError("SerializationException", "Start of structure or map found where not expected.")
    if not given:
        raise SqsError("EmptyBatchRequest", f"There should be at least one {kind} in the request.")
    if len(given) > limits.BATCH_ENTRIES:
        raise SqsError(
            "TooManyEntriesInBatchRequest", f"Maximum number of entries per request are 10. You have sent {len(given)}."
        )
    seen = set()
    for position, entry in enumerate(given, 1):
        if not isinstance(entry, dict):
            raise SqsError("SerializationException", "Unexpected field type")
        entry_id = entry.get("Id")
        if type(entry_id) is not str:
            entry_id = entry["Id"] = text(entry, "Id")
        if entry_id is None:
            raise missing_parameter(f"{kind}.{position}.Id")
        if not _ID.fullmatch(entry_id):
            raise SqsError(
                "InvalidBatchEntryId",
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores."
                " It can be at most 80 letters long.",
            )
        if entry_id in seen:
            raise SqsError("BatchEntryIdsNotDistinct", f"Id {entry_id} repeated.")
        seen.add(entry_id)
    return given


def answer(successful: list[dict[str, Any]], failed: list[dict[str, Any]]) -> dict[str, Any]:
    """The answer of a batch: a list that would be empty is left out (recorded on AWS)."""
    result: dict[str, Any] = {}
    if successful:
        result["Successful"] = successful
    if failed:
        result["Failed"] = failed
    return result
