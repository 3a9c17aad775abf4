"""Command line: the keys of `[queues.NAME.cloudwatch]`."""

from __future__ import annotations

from worker.config import shapes
from worker.config.schema import Key, Type

CLOUDWATCH = (
    Key(
        name="namespace",
        type=Type.TEXT,
        shape=shapes.metric_namespace,
        example='namespace = "MessageStore"',
        default="required; a reference that comes out empty turns the metrics off",
        meaning="The namespace of the metrics. Their dimension is `QueueName`.",
    ),
    Key(
        name="period",
        type=Type.SECONDS,
        example="period = 60",
        least=1,
        most=3600,
        meaning="A poller puts its counts this often at most, the first ones after a quiet time within a second, and "
        "what is left at the end of a drain.",
    ),
    Key(
        name="deleted",
        type=Type.TEXT,
        shape=shapes.metric_name,
        example='deleted = "MessagesDeleted"',
        meaning="Metric: messages whose delete was confirmed, rejected and forwarded ones included.",
    ),
    Key(
        name="delete_failed",
        type=Type.TEXT,
        shape=shapes.metric_name,
        example='delete_failed = "SQSDeleteError"',
        meaning="Metric: deletes that failed, a message counted at each try.",
    ),
    Key(
        name="not_resolved",
        type=Type.TEXT,
        shape=shapes.metric_name,
        example='not_resolved = "SQSGetURLError"',
        meaning="Metric: tries to find the queue at start that failed. It is put before the pool exits with 78.",
    ),
    Key(
        name="log_deletes_as",
        type=Type.TEXT,
        shape=shapes.log_action,
        example='log_deletes_as = "sqs_delete_message"',
        default="no such lines",
        meaning="A log line for each message whose delete was confirmed or failed, with this `action`; see "
        "[Metrics of deletes](#metrics-of-deletes).",
    ),
)
