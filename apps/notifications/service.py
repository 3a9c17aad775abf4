"""Producer process: `send_service` puts notifications into their queues, `sqs_queue_manager` says what is in these.

Both read the environment when they are used, so that importing this module needs nothing.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.notifications import environment
from apps.notifications.producers import Producers, Target
from apps.notifications.queues import SqsQueueManager
from apps.notifications.rules import Chunk, cut, queue_for
from worker import SendError, Sending, SendResult

__all__ = ["SendFailed", "SendService", "send_service", "sqs_queue_manager"]

_VARIABLES = {"send": "SQS_SEND_QUEUE_URL", "batch": "SQS_BATCH_QUEUE_URL"}
#: Recipients of a message: the default, and the most that RECIPIENTS_PER_MESSAGE may say.
_PER_MESSAGE, _MOST_PER_MESSAGE = 100, 10_000


class SendFailed(Exception):
    """Some of the messages were not sent. `unsent` are the recipients in them, as they were given, to be sent again.

    SQS may have one of them all the same, where the answer to its request was lost.
    """

    def __init__(self, batch_id: str, unsent: Sequence[Mapping[str, Any]], reason: str = "") -> None:
        super().__init__(batch_id, unsent, reason)
        self.batch_id = batch_id
        self.unsent = list(unsent)
        self.reason = reason

    def __str__(self) -> str:
        return f"batch {self.batch_id}: not sent to {len(self.unsent)} recipients: {self.reason}"


@dataclass(frozen=True, slots=True)
class _Order:
    """A notification that is ready to be sent."""

    batch_id: str
    chunks: Sequence[Chunk]
    target: Target

    @property
    def items(self) -> list[Sending]:
        return [Sending(chunk.body) for chunk in self.chunks]


class SendService:
    """Any thread and any event loop may use it."""

    def __init__(self) -> None:
        self._producers = Producers()

    async def send_message(self, *, content: str, channel: str, recipients: list[dict[str, Any]]) -> dict[str, str]:
        """Queue a notification for all recipients: `{"batch_id": ..., "status": "queued"}`, once SQS has it.

        `channel` is line, email, sms, push, webhook or recording; a recipient is a dict with an `id` (text or a whole
        number) and what its channel needs. Raises ValueError with nothing sent: no recipients, one without `id`, an
        unknown channel, what JSON cannot say or no message has room for. Raises Misconfigured where the environment
        lacks a queue, and SendFailed where SQS did not take all of it.
        """
        # In a thread: to write down ten thousand recipients as JSON would hold up the loop for a fifth of a second.
        order = await asyncio.to_thread(_order, content, channel=channel, recipients=recipients)
        try:
            result = await self._producers.of_loop(order.target).send_many(order.items)
        except SendError as error:
            raise _failed(order, error) from error
        return _answer(order, result)

    def send_message_sync(self, *, content: str, channel: str, recipients: list[dict[str, Any]]) -> dict[str, str]:
        """The same for programs without an event loop."""
        order = _order(content, channel=channel, recipients=recipients)
        try:
            result = self._producers.plain(order.target).send_many(order.items)
        except SendError as error:
            raise _failed(order, error) from error
        return _answer(order, result)


send_service = SendService()
sqs_queue_manager = SqsQueueManager()


def _order(content: str, *, channel: str, recipients: list[dict[str, Any]]) -> _Order:
    environ = dict(os.environ)
    most = environment.number(environ, "RECIPIENTS_PER_MESSAGE", default=_PER_MESSAGE, most=_MOST_PER_MESSAGE)
    batch_id = str(uuid.uuid4())
    chunks = cut(batch_id, content=content, channel=channel, recipients=recipients, most=most)
    variable = _VARIABLES[queue_for(len(recipients))]
    target = Target(
        environment.required(environ, variable, purpose="the queue that notifications are sent to"),
        endpoint=environment.endpoint(environ),
        region=environment.region(environ),
        insecure=environ.get("ALLOW_INSECURE_URLS") == "1",
    )
    environment.speak_up(environ)
    return _Order(batch_id, chunks, target)


def _answer(order: _Order, result: SendResult) -> dict[str, str]:
    """Raises SendFailed."""
    if result.failed:
        unsent = [recipient for index, _, _ in sorted(result.failed) for recipient in order.chunks[index].recipients]
        _, code, reason = result.failed[0]
        raise SendFailed(order.batch_id, unsent, f"{code}: {reason}")
    recipients = sum(len(chunk.recipients) for chunk in order.chunks)
    environment.LOG.debug(
        "batch %s: messages %d, recipients %d, queue %s",
        order.batch_id,
        len(order.chunks),
        recipients,
        order.target.queue,
    )
    return {"batch_id": order.batch_id, "status": "queued"}


def _failed(order: _Order, error: SendError) -> SendFailed:
    """No client could be made of the AWS settings: nothing was sent at all."""
    recipients = [recipient for chunk in order.chunks for recipient in chunk.recipients]
    return SendFailed(order.batch_id, recipients, f"{error.code}: {error.reason}")
