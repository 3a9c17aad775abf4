"""Handler process: delivers a notification to those recipients of its message that do not have it yet.

Each delivery is recorded at once. A process that dies between the two repeats one delivery, with the same key.
"""

from __future__ import annotations

import os
from functools import lru_cache

from apps.notifications import environment, table
from apps.notifications.answers import Answer, Delivered, give_up, verdict
from apps.notifications.channels.channel import Channel, Delivery
from apps.notifications.channels.choice import configured, remedy
from apps.notifications.rules import BadNotification, Notification, delivery_key, outstanding, read
from apps.notifications.table import DeliveryTable
from worker import Message, Reject, Retry

#: Seconds that one delivery and its row may take; far more than the timeouts of all channels.
_PATIENCE = 60.0
#: Seconds until a message for a channel that nobody configured comes again: time to mend it, before the third receive
#: makes a dead letter of a good message.
_UNTIL_MENDED = 600.0

# What is wrong with the environment is said when the process starts, and `worker run` exits 78.
environment.speak_up(os.environ)
_CHANNELS = configured(os.environ)
environment.required(os.environ, "NOTIFICATIONS_TABLE", purpose="the DynamoDB table of who has been delivered to")


def deliver(message: Message) -> Retry | None:
    """A message of the send-queue or the batch-queue."""
    try:
        notification = read(message.body)
    except BadNotification as error:
        raise Reject(f"no notification: {error}") from None
    channel = _CHANNELS.get(notification.channel)
    if channel is None:
        name = notification.channel
        raise Retry(_UNTIL_MENDED, f"channel {name} is not configured in this pool: set {remedy(name)}")
    answers, untried = _deliver(message, notification, channel=channel, deliveries=_table())
    outcome = verdict(answers, untried=untried)
    if outcome is not None:
        raise outcome
    return None


@lru_cache(maxsize=1)
def _table() -> DeliveryTable:
    """The process's own, made at the first message: what is forked from a template must share no connection."""
    return table.from_environment(os.environ)


def _deliver(
    message: Message, notification: Notification, *, channel: Channel, deliveries: DeliveryTable
) -> tuple[dict[int, Answer], int]:
    """The answer for each recipient that was tried, by its place, and the number of those that were not."""
    batch_id = notification.batch_id
    delivered = deliveries.delivered(batch_id, [recipient.id for recipient in notification.recipients])
    wanted = outstanding(notification.recipients, delivered=delivered, receive=message.receive_count)
    answers: dict[int, Answer] = {}
    for recipient in wanted:
        message.extend(_PATIENCE)
        delivery = Delivery(
            batch_id=batch_id,
            channel=notification.channel,
            content=notification.content,
            recipient=recipient.fields,
            key=delivery_key(batch_id, recipient.id),
        )
        answer = answers[recipient.place] = channel.deliver(delivery)
        environment.LOG.debug(
            "message %s: batch %s, recipient %d: %s", message.id, batch_id, recipient.place, type(answer).__name__
        )
        if isinstance(answer, Delivered):
            deliveries.mark(batch_id, recipient.id, channel=notification.channel)
        elif give_up(list(answers.values())):
            break
    return answers, len(wanted) - len(answers)
