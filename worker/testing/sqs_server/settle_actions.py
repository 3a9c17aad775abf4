"""SQS server process: DeleteMessage and ChangeMessageVisibility, single and in batches."""

from typing import Any

from worker.testing.sqs_server import batches, limits
from worker.testing.sqs_server.broker import Broker, Caller
from worker.testing.sqs_server.errors import SqsError, invalid_parameter, invalid_value, missing_parameter
from worker.testing.sqs_server.fields import integer, required_text
from worker.testing.sqs_server.queue import Queue
from worker.testing.sqs_server.receipt_rules import Outcome

_EXPIRED = "The receipt handle has expired"


def delete_message(broker: Broker, request: dict[str, Any], now: float, caller: Caller) -> dict[str, Any]:
    """Deletes one message; success also where there was nothing (any more) to delete."""
    queue = broker.entry(request.get("QueueUrl"), caller).queue
    handle = required_text(request, "ReceiptHandle")
    if queue.delete(handle, now=now) is Outcome.EXPIRED:
        raise invalid_value(handle, "ReceiptHandle", f"{_EXPIRED}.")
    return {}


def delete_message_batch(broker: Broker, request: dict[str, Any], now: float, caller: Caller) -> dict[str, Any]:
    """Deletes up to ten messages; each entry succeeds or fails by itself."""
    queue = broker.entry(request.get("QueueUrl"), caller).queue
    successful: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for entry in batches.entries(request, "DeleteMessageBatchRequestEntry"):
        try:
            if queue.delete(required_text(entry, "ReceiptHandle"), now=now) is Outcome.EXPIRED:
                raise SqsError("ReceiptHandleIsInvalid", _EXPIRED)
            successful.append({"Id": entry["Id"]})
        except SqsError as error:
            if error.shape == "SerializationException":
                raise
            failed.append(error.entry(entry["Id"]))
    return batches.answer(successful, failed)


def change_message_visibility(broker: Broker, request: dict[str, Any], now: float, caller: Caller) -> dict[str, Any]:
    """Hides one message for a new time from now, or makes it visible with 0."""
    queue = broker.entry(request.get("QueueUrl"), caller).queue
    handle = required_text(request, "ReceiptHandle")
    seconds = integer(request, "VisibilityTimeout")
    if seconds is None:
        raise missing_parameter("VisibilityTimeout")
    if not 0 <= seconds <= limits.VISIBILITY_SECONDS:
        raise invalid_value(seconds, "VisibilityTimeout", "Must be between 0 and 43200.")
    _change(broker, queue, handle, seconds=seconds, now=now)
    return {}


def change_message_visibility_batch(
    broker: Broker, request: dict[str, Any], now: float, caller: Caller
) -> dict[str, Any]:
    """Changes the visibility of up to ten messages; each entry succeeds or fails by itself."""
    queue = broker.entry(request.get("QueueUrl"), caller).queue
    successful: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    kind = "ChangeMessageVisibilityBatchRequestEntry"
    for position, entry in enumerate(batches.entries(request, kind), 1):
        try:
            handle = required_text(entry, "ReceiptHandle")
            seconds = integer(entry, "VisibilityTimeout")
            if seconds is None:
                raise missing_parameter(f"{kind}.{position}.VisibilityTimeout")
            if not 0 <= seconds <= limits.VISIBILITY_SECONDS:
                raise invalid_value(
                    seconds, "VisibilityTimeout", "VisibilityTimeout must be an integer between 0 and 43200."
                )
            _change(broker, queue, handle, seconds=seconds, now=now)
            successful.append({"Id": entry["Id"]})
        except SqsError as error:
            if error.shape == "SerializationException":
                raise
            failed.append(error.entry(entry["Id"]))
    return batches.answer(successful, failed)


def _change(broker: Broker, queue: Queue, handle: str, *, seconds: int, now: float) -> None:
    outcome = queue.change_visibility(handle, seconds, now=now, strict=broker.options.strict_visibility)
    if outcome is Outcome.DONE or outcome is Outcome.IGNORED:
        return
    if outcome is Outcome.BEYOND:
        raise invalid_value(
            seconds,
            "VisibilityTimeout",
            "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]",
        )
    if outcome is Outcome.EXPIRED:
        raise SqsError("MessageNotInflight", "The specified message isn't in flight.")
    if outcome is Outcome.STALE:
        raise SqsError("ReceiptHandleIsInvalid", f"{_EXPIRED}.")
    raise invalid_parameter(
        f"Value {handle} for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available"
        " for visibility timeout change."
    )
