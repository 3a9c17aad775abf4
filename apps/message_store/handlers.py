"""Handler process: saves each message once: a consistent read, then a put that only a new key passes.

A failure of DynamoDB is an exception, and so a retry: the message is not acked before it is in the table. A message
that came twice, or was saved by a process that died before its ack, is found there and acked.
"""

from __future__ import annotations

import sys
import time
from functools import partial

from botocore.exceptions import BotoCoreError, ClientError

from apps.message_store import rules, services
from apps.message_store.metrics import Metrics
from worker import Message, Reject

#: Seconds that the last metrics of a process may take.
FLUSH = 5.0
#: Seconds between two lines that say that metrics cannot be put.
_SILENCE = 600.0


def save(message: Message) -> None:
    """A message of the queue."""
    queue_name = services.QUEUE_NAME or message.queue
    metrics = _metrics_of(queue_name)
    tell = partial(_tell, message, queue_name)
    tell("message_received", "info", receive_count=message.receive_count)
    origin = rules.Origin(message_id=message.id, group_id=message.group, sent_at=message.sent_at, queue_name=queue_name)
    try:
        item = rules.item(message.body, origin, saved_at=time.time())
    except rules.Invalid as error:
        metrics.add("InvalidMessages")
        tell("message_skipped", "error", reason=str(error))
        raise Reject(str(error)) from None
    key = item["message_id"]["S"]
    try:
        known = _is_saved(key)
    except (ClientError, BotoCoreError) as error:
        metrics.add("DynamoDBCheckError")
        tell("dynamodb_save", "error", key=key, step="check", error=_reason(error))
        raise
    try:
        known = known or not _put(item)
    except (ClientError, BotoCoreError) as error:
        metrics.add("DynamoDBSaveError")
        tell("dynamodb_save", "error", key=key, step="save", error=_reason(error))
        raise
    if known:
        metrics.add("DuplicateMessages")
        tell("message_skipped", "info", key=key, reason="it is in the table already")
        return
    metrics.add("MessagesSaved")
    tell("dynamodb_save", "success", key=key)


def start() -> None:
    """Before the first message of a process: a client that cannot be made ends the start, not a message.

    Making the clients is also what takes longest; the last metrics of a short life must not wait for it.
    """
    services.dynamodb()
    services.cloudwatch()


def stop() -> None:
    """After the last message of a process: the metrics that are left."""
    flush(FLUSH)


def flush(seconds: float) -> None:
    """Put all metrics now; those that take longer than `seconds` together are left."""
    end = time.monotonic() + seconds
    for metrics in list(_metrics.values()):
        metrics.flush(max(0.0, end - time.monotonic()))


def _is_saved(key: str) -> bool:
    answer = services.dynamodb().get_item(
        TableName=services.TABLE,
        Key={"message_id": {"S": key}},
        ConsistentRead=True,
        ProjectionExpression="message_id",
    )
    return "Item" in answer


def _put(item: rules.Item) -> bool:
    """False if another process has put an item of this key since we looked."""
    try:
        services.dynamodb().put_item(
            TableName=services.TABLE,
            Item=item,
            ConditionExpression="attribute_not_exists(message_id)",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            return False
        raise
    return True


#: By queue name: a pool has one, a Lambda function may serve several queues.
_metrics: dict[str, Metrics] = {}
_failed_at = float("-inf")


def _metrics_of(queue_name: str) -> Metrics:
    found = _metrics.get(queue_name)
    if found is None:
        made = Metrics(
            services.NAMESPACE,
            queue_name,
            period=services.METRICS_PERIOD,
            make_client=services.cloudwatch,
            failed=partial(_metrics_failed, queue_name),
        )
        found = _metrics.setdefault(queue_name, made)  # two threads may come here at once: one of the two is taken
    return found


def _metrics_failed(queue_name: str, error: Exception) -> None:
    global _failed_at
    now = time.monotonic()
    if now < _failed_at + _SILENCE:
        return
    _failed_at = now
    details = {"queue_name": queue_name, "error": _reason(error)}
    _write(rules.line("put_metric_data", "error", trace="", details=details, now=time.time()))


def _tell(message: Message, queue_name: str, action: str, status: str, **more: object) -> None:
    details = {"queue_name": queue_name, "message_id": message.id, "group_id": message.group, **more}
    trace = rules.trace_id(message.attributes, message_id=message.id)
    _write(rules.line(action, status, trace=trace, details=details, now=time.time()))


def _write(text: str) -> None:
    """To standard error, where the pool's lines are too; in one write, so that lines of threads do not mix."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
