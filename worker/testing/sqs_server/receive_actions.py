"""SQS server process: ReceiveMessage: short polls, long polls, repeated attempts of FIFO receives."""

import re
from typing import Any, Final

from worker.testing.sqs_server import limits
from worker.testing.sqs_server.broker import Broker, Caller
from worker.testing.sqs_server.deduplication import Given
from worker.testing.sqs_server.errors import SqsError, invalid_value
from worker.testing.sqs_server.fields import integer, text, texts
from worker.testing.sqs_server.long_polls import LongPoll
from worker.testing.sqs_server.messages import IN_FLIGHT, Message, Selection, selection, shown
from worker.testing.sqs_server.queue import Queue

_ATTEMPT_ID: Final = re.compile(r"[!-~]{1,128}", re.ASCII)


class _Receive:
    """One ReceiveMessage: tried at once, and again while it waits."""

    __slots__ = ("_asked", "_attempt_id", "_broker", "_caller", "_limit", "_request", "_visibility", "queue", "wait")

    def __init__(self, broker: Broker, request: dict[str, Any], caller: Caller) -> None:
        self._broker = broker
        self._caller = caller
        # The connection's next request overwrites the number while this one may still wait.
        self._request = caller.request
        self.queue: Queue = broker.entry(request.get("QueueUrl"), caller).queue
        settings = self.queue.settings
        limit = integer(request, "MaxNumberOfMessages")
        if limit is not None and not 1 <= limit <= limits.BATCH_ENTRIES:
            raise invalid_value(limit, "MaxNumberOfMessages", "Must be between 1 and 10, if provided.")
        visibility = integer(request, "VisibilityTimeout")
        if visibility is not None and not 0 <= visibility <= limits.VISIBILITY_SECONDS:
            raise invalid_value(visibility, "VisibilityTimeout", "Must be >= 0 and <= 43200, if provided.")
        wait = integer(request, "WaitTimeSeconds")
        if wait is not None and not 0 <= wait <= limits.WAIT_SECONDS:
            raise invalid_value(wait, "WaitTimeSeconds", "Must be >= 0 and <= 20, if provided.")
        self._limit = 1 if limit is None else limit
        self._visibility = settings.visibility if visibility is None else float(visibility)
        self.wait = settings.wait if wait is None else float(wait)
        self._asked = _asked(request)
        self._attempt_id = _attempt_id(request, fifo=settings.fifo)

    def attempt(self, now: float) -> dict[str, Any] | None:
        """Receives; None while there is nothing to give."""
        queue = self.queue
        given = self._repeated(now) if self._attempt_id is not None else None
        if given is None:
            room = self._broker.options.in_flight_limit - queue.in_flight
            if room <= 0:
                queue.advance(now)
                return None
            move = self._broker.dead_letter(queue, now) if queue.settings.redrive is not None else None
            given = queue.receive(min(self._limit, room), self._visibility, now=now, dead_letter=move)
        if not given:
            return None
        if self._attempt_id is not None:
            kept = tuple(Given(message.sequence, message.receipt, message.changes) for message, _ in given)
            queue.attempts.remember(self._attempt_id, kept, now=now)
        if self._broker.events is not None:
            self._record(given, now)
        asked = self._asked
        return {"Messages": [shown(message, handle, asked) for message, handle in given]}

    def over_limit(self) -> bool:
        """Whether a short poll is refused for want of room: never on a FIFO queue (ChangeMessageVisibility)."""
        return not self.queue.settings.fifo and self.queue.in_flight >= self._broker.options.in_flight_limit

    def _repeated(self, now: float) -> list[tuple[Message, str]] | None:
        """What the same attempt got before, if it may be repeated; None where it is new or has simply run out."""
        queue = self.queue
        attempt_id = self._attempt_id or ""
        known = queue.attempts.find(attempt_id, now)
        if known is None:
            return None
        queue.advance(now)
        untouched = running = True
        for one in known:
            message = queue.messages.get(one.sequence)
            if message is None or message.receipt != one.receipt or message.changes != one.changes:
                untouched = False
            elif message.state is not IN_FLIGHT:
                running = False
        if untouched and running:
            return queue.again([(one.sequence, one.receipt) for one in known], self._visibility, now=now)
        if untouched:
            return None
        raise invalid_value(
            attempt_id,
            "ReceiveRequestAttemptId",
            "The receiveRequestAttemptId is not valid anymore since the receive call is not retryable.",
        )

    def _record(self, given: list[tuple[Message, str]], now: float) -> None:
        events = self._broker.events
        if events is None:
            return
        for message, _ in given:
            events.record(
                "assign",
                now=now,
                queue=self.queue.name,
                message_id=message.message_id,
                receipt=f"{message.sequence}.{message.receipt}",
                group=message.group,
                receives=message.total_receives,
                until=now + self._visibility,
                connection=self._caller.connection,
                request=self._request,
            )


def _asked(request: dict[str, Any]) -> Selection:
    system = (*texts(request, "AttributeNames"), *texts(request, "MessageSystemAttributeNames"))
    return selection(system, tuple(texts(request, "MessageAttributeNames")))


def _attempt_id(request: dict[str, Any], *, fifo: bool) -> str | None:
    attempt_id = text(request, "ReceiveRequestAttemptId")
    if attempt_id is None:
        return None
    if not fifo:
        raise invalid_value(
            attempt_id,
            "ReceiveRequestAttemptId",
            "The request include parameter that is not valid for this queue type.",
        )
    if not _ATTEMPT_ID.fullmatch(attempt_id):
        raise invalid_value(
            attempt_id,
            "ReceiveRequestAttemptId",
            "ReceiveRequestAttemptId can only include alphanumeric and punctuation characters. 1 to 128 in length.",
        )
    return attempt_id


def receive_message(broker: Broker, request: dict[str, Any], now: float, caller: Caller) -> dict[str, Any] | LongPoll:
    """Receives, or returns the long poll that waits. At the in-flight limit only a short poll is an error."""
    receive = _Receive(broker, request, caller)
    answer = receive.attempt(now)
    if answer is not None:
        return answer
    if receive.wait <= 0:
        if receive.over_limit():
            raise SqsError("OverLimit", "The maximum number of in flight messages of the queue is reached.")
        return {}
    poll = LongPoll(receive.queue, now + receive.wait, receive.attempt)
    broker.polls.add(poll)
    return poll
