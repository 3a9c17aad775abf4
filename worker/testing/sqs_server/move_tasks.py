"""SQS server process: StartMessageMoveTask, ListMessageMoveTasks, CancelMessageMoveTask."""

import base64
from typing import Any, Final

import orjson

from worker.testing.sqs_server import limits, redrive
from worker.testing.sqs_server.broker import Broker, Caller, Entry
from worker.testing.sqs_server.errors import SqsError, invalid_parameter, missing_parameter
from worker.testing.sqs_server.fields import integer, required_text, text
from worker.testing.sqs_server.moves import MoveTask
from worker.testing.sqs_server.queue import Queue

_FORMAT: Final = "arn:<partition>:<service>:<region>:<account-id>:<resource-id>"


def _queue_of(broker: Broker, arn: str, parameter: str) -> Entry:
    if redrive.read_arn(arn) is None:
        raise invalid_parameter(f"You must use this format to specify the {parameter}: {_FORMAT}")
    entry = broker.entry_of_arn(arn)
    if entry is None:
        raise SqsError(
            "ResourceNotFoundException", f"The resource that you specified for the {parameter} parameter doesn't exist."
        )
    return entry


def _is_dead_letter_queue(broker: Broker, queue: Queue) -> bool:
    return any(
        entry.queue.settings.redrive is not None and entry.queue.settings.redrive.target == queue.arn
        for region in broker.regions()
        for entry in region.entries.values()
    )


def start_message_move_task(broker: Broker, request: dict[str, Any], now: float, caller: Caller) -> dict[str, Any]:
    """Starts to move the messages of a dead-letter queue to a queue, or back to where they came from."""
    del caller
    source_arn = text(request, "SourceArn")
    if source_arn is None:
        raise missing_parameter("SourceArn")
    source = _queue_of(broker, source_arn, "SourceArn")
    rate = integer(request, "MaxNumberOfMessagesPerSecond")
    if rate is not None and not 1 <= rate <= limits.MOVE_RATE:
        raise invalid_parameter(
            "Value for parameter MaxNumberOfMessagesPerSecond is invalid."
            " Reason: You must enter a number that's between 1 and 500."
        )
    destination_arn = text(request, "DestinationArn")
    if destination_arn is not None:
        if destination_arn == source_arn:
            raise invalid_parameter("Source queue arn and destination queue arn cannot be the same.")
        destination = _queue_of(broker, destination_arn, "DestinationArn")
        if destination.queue.settings.fifo != source.queue.settings.fifo:
            raise invalid_parameter("The source queue and destination queue must be of the same queue type.")
    if not _is_dead_letter_queue(broker, source.queue):
        raise invalid_parameter("Source queue must be configured as a Dead Letter Queue.")
    running = broker.moves.running()
    if any(task.source is source.queue for task in running):
        raise invalid_parameter(
            "There is already a task running. Only one active task is allowed for a source queue arn at a given time."
        )
    if len(running) >= limits.MOVE_TASKS:
        raise SqsError("OverLimit", "The number of active message move tasks is at its limit.")
    source.queue.advance(now)
    task = MoveTask(broker.ids.task_id(), source.queue, destination_arn, rate, now, source.queue.ready)
    broker.moves.start(task)
    return {"TaskHandle": task.handle}


def list_message_move_tasks(broker: Broker, request: dict[str, Any], now: float, caller: Caller) -> dict[str, Any]:
    """The newest tasks of a source queue; one unless MaxResults asks for more."""
    del now, caller
    source = _queue_of(broker, required_text(request, "SourceArn"), "SourceArn")
    most = integer(request, "MaxResults") or 1
    if not 1 <= most <= limits.MOVE_TASKS_LISTED:
        raise invalid_parameter(
            "Value for parameter MaxResults is invalid. Reason: You must enter a number that's between 1 and 10."
        )
    found = broker.moves.of(source.queue)[:most]
    return {"Results": [_shown(task) for task in found]} if found else {}


def _shown(task: MoveTask) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "Status": task.status,
        "SourceArn": task.source.arn,
        "ApproximateNumberOfMessagesMoved": task.moved,
        "ApproximateNumberOfMessagesToMove": task.to_move,
        "StartedTimestamp": int(task.started * 1000),
    }
    if task.status == "RUNNING":
        answer["TaskHandle"] = task.handle
    if task.destination_arn is not None:
        answer["DestinationArn"] = task.destination_arn
    if task.rate is not None:
        answer["MaxNumberOfMessagesPerSecond"] = task.rate
    if task.reason:
        answer["FailureReason"] = task.reason
    return answer


def cancel_message_move_task(broker: Broker, request: dict[str, Any], now: float, caller: Caller) -> dict[str, Any]:
    """Stops a running task; what was moved stays moved."""
    del now, caller
    task_id, source_arn = _read_handle(required_text(request, "TaskHandle"))
    source = broker.entry_of_arn(source_arn)
    if source is None:
        raise SqsError(
            "ResourceNotFoundException", "The resource that you specified for the SourceArn parameter doesn't exist."
        )
    task = next((task for task in broker.moves.of(source.queue) if task.task_id == task_id), None)
    if task is None:
        raise SqsError("ResourceNotFoundException", "Task does not exist.")
    if task.status != "RUNNING":
        raise invalid_parameter("Only active tasks can be cancelled.")
    task.status = "CANCELLED"
    return {"ApproximateNumberOfMessagesMoved": task.moved}


def _read_handle(handle: str) -> tuple[str, str]:
    try:
        read = orjson.loads(base64.b64decode(handle, validate=True))
        return str(read["taskId"]), str(read["sourceArn"])
    except (ValueError, KeyError, TypeError):
        raise invalid_parameter("Value for parameter TaskHandle is invalid.") from None
