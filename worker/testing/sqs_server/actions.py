"""SQS server process: the actions of SQS by name, and the one way to call them."""

from collections.abc import Callable
from typing import Any, Final

from worker.testing.sqs_server import (
    move_tasks,
    permissions,
    queue_actions,
    receive_actions,
    send_actions,
    settle_actions,
    tags,
)
from worker.testing.sqs_server.broker import Broker, Caller
from worker.testing.sqs_server.errors import SqsError
from worker.testing.sqs_server.long_polls import LongPoll

Action = Callable[[Broker, dict[str, Any], float, Caller], dict[str, Any] | LongPoll]

ACTIONS: Final[dict[str, Action]] = {
    "AddPermission": permissions.add_permission,
    "CancelMessageMoveTask": move_tasks.cancel_message_move_task,
    "ChangeMessageVisibility": settle_actions.change_message_visibility,
    "ChangeMessageVisibilityBatch": settle_actions.change_message_visibility_batch,
    "CreateQueue": queue_actions.create_queue,
    "DeleteMessage": settle_actions.delete_message,
    "DeleteMessageBatch": settle_actions.delete_message_batch,
    "DeleteQueue": queue_actions.delete_queue,
    "GetQueueAttributes": queue_actions.get_queue_attributes,
    "GetQueueUrl": queue_actions.get_queue_url,
    "ListDeadLetterSourceQueues": queue_actions.list_dead_letter_source_queues,
    "ListMessageMoveTasks": move_tasks.list_message_move_tasks,
    "ListQueueTags": tags.list_queue_tags,
    "ListQueues": queue_actions.list_queues,
    "PurgeQueue": queue_actions.purge_queue,
    "ReceiveMessage": receive_actions.receive_message,
    "RemovePermission": permissions.remove_permission,
    "SendMessage": send_actions.send_message,
    "SendMessageBatch": send_actions.send_message_batch,
    "SetQueueAttributes": queue_actions.set_queue_attributes,
    "StartMessageMoveTask": move_tasks.start_message_move_task,
    "TagQueue": tags.tag_queue,
    "UntagQueue": tags.untag_queue,
}


def call(
    broker: Broker, action: str, *, request: dict[str, Any], now: float, caller: Caller | None = None
) -> dict[str, Any] | LongPoll:
    """Performs one action at the time `now` and returns the members of its answer. Raises SqsError.

    A ReceiveMessage that may wait and found nothing returns a LongPoll: whoever drives the broker (server, simulation)
    gets its answer from `broker.complete`, to be called after every call while `broker.busy`, and at
    `broker.next_moment()`.
    """
    perform = ACTIONS.get(action)
    if perform is None:
        raise SqsError("UnknownOperationException", f"The action {action} is not valid for this endpoint.")
    return perform(broker, request, now, caller or Caller())
