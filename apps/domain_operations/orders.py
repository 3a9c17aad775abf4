"""Handler process: an order becomes a row of ORDERS_TABLE, once, and a notification, which its recipients get once.

The row is claimed, with the status `received`; the notification is sent, and confirmed by SQS; the row becomes
`notified`. An order that comes again finds that and is done; while another message of it is at work, it waits. One
whose process died after the send and before the end is notified again, as the same batch, and the notifications
application knows from its table who has had that.
"""

from __future__ import annotations

import os
import random
import time
from functools import cache

from apps.domain_operations import clients
from apps.domain_operations.logs import say
from apps.domain_operations.order_rules import BadOrder, read
from apps.domain_operations.order_table import OrderTable, State
from worker import Message, Producer, Reject, Retry, Sending

ORDERS_TABLE = clients.required("ORDERS_TABLE", "the DynamoDB table of orders, key `order_id`")
NOTIFICATION_QUEUE = f"notification-{clients.required('ENVIRONMENT', 'dev, staging or prod: it names the queues')}"
ROLE_ARN = os.environ.get("DOMAIN_QUEUE_ROLE_ARN", "")

#: Seconds that an order waits here for another message of it, which takes a fraction of one as a rule.
_PATIENCE = 10.0
_LOOK = 0.5  #: seconds, the longest pause between two looks


class NotSent(Exception):
    """SQS did not take the order's notification; the order is tried again."""


def place_order(message: Message) -> None:
    """An order. What is none is rejected, and so is another order under an id that is taken."""
    try:
        order = read(message.body)
    except BadOrder as error:
        raise Reject(str(error)) from None
    about = {"message": message.id, "order": order.order_id}
    end = time.time() + _PATIENCE
    while (claim := _table().claim(order, owner=message.id, now=time.time())).state is State.BUSY:
        if time.time() > end:
            raise Retry(after=claim.seconds, reason=f"another message of order {order.order_id!a} is at work")
        time.sleep(_LOOK * random.random())  # noqa: S311 - spreads those who wait, hides nothing
    if claim.state is State.ANOTHER:
        raise Reject(f"order {order.order_id!a} exists, and says something else")
    if claim.state is State.NOTIFIED:
        say("info", "order_repeated", **about)
        return
    result = _producer().send_many(Sending(body) for body in order.notifications)
    if result.failed:
        _, code, reason = result.failed[0]
        raise NotSent(f"order {order.order_id!a}: {len(result.failed)} notifications not sent: {code}: {reason}")
    _table().notified(order, now=time.time())
    say("info", "order_placed", **about, recipients=order.recipients)


@cache
def _table() -> OrderTable:
    return OrderTable(clients.dynamodb(), ORDERS_TABLE)


@cache
def _producer() -> Producer:
    """Looks the queue up at its first send. It gives up well before a handler function's time is over."""
    return Producer(NOTIFICATION_QUEUE, role_arn=ROLE_ARN or None, timeout=30.0)
