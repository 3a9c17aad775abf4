"""Handler process: delivery statuses from StatusUpdateQueue and DLQ are forwarded as events to EventQueue.

A message that is no delivery status raises BadStatus: it is logged with its id, retried, and goes to its queue's
dead-letter queue when SQS has counted enough receives; it is never deleted.
"""

from __future__ import annotations

import os
import time

from apps.message_status.rules import event, group
from worker import Forward, Message

EVENT_QUEUE_URL = os.environ.get("EVENT_QUEUE_URL", "")
if not EVENT_QUEUE_URL:
    raise RuntimeError("environment variable EVENT_QUEUE_URL is not set (or empty): the queue that events are sent to")

_FIFO = EVENT_QUEUE_URL.endswith(".fifo")


def status_update(message: Message) -> Forward:
    """A delivery status from StatusUpdateQueue."""
    return _forward(message, source_queue="StatusUpdateQueue")


def dead_letter(message: Message) -> Forward:
    """A delivery status from DLQ, where somebody failed on it before."""
    return _forward(message, source_queue="DLQ")


def _forward(message: Message, *, source_queue: str) -> Forward:
    body = event(message.body, source_queue=source_queue, processed_at=time.time())
    return Forward(queue=EVENT_QUEUE_URL, body=body, group_id=group(message.body) or message.id if _FIFO else None)
