"""SQS server process: one queue: its messages, each in exactly one state, and what receives, deletes and changes do."""

from collections.abc import Callable
from typing import Protocol

from worker.testing.sqs_server.deduplication import Attempts, Deduplication
from worker.testing.sqs_server.errors import SqsError
from worker.testing.sqs_server.events import EventLog
from worker.testing.sqs_server.fifo import GroupOrder
from worker.testing.sqs_server.hidden import Hidden
from worker.testing.sqs_server.ids import Receipts
from worker.testing.sqs_server.messages import DELAYED, GONE, IN_FLIGHT, READY, Message
from worker.testing.sqs_server.queue_attributes import QueueSettings
from worker.testing.sqs_server.receipt_rules import Outcome, judge_change, judge_delete
from worker.testing.sqs_server.standard import StandardOrder


class Waiting(Protocol):
    """Whoever wants to know that the queue may have messages."""

    def __call__(self, queue: "Queue", /) -> None:
        """The queue got a visible message while polls were pending."""


class Queue:
    """One queue. Every operation takes the time; nothing happens by itself in between."""

    def __init__(self, arn: str, settings: QueueSettings, *, by_group: bool, receipts: Receipts, wake: Waiting) -> None:
        self.arn = arn
        self.name = arn.rpartition(":")[2]
        self.settings = settings
        self.messages: dict[int, Message] = {}
        self.ready = self.delayed = self.in_flight = 0
        #: Messages that were sent to it, ever; moves and redrives are none.
        self.sent = 0
        #: Long polls pending: then `wake` is called for every message that becomes visible.
        self.watched = False
        self.events: EventLog | None = None
        self.deduplication = Deduplication(by_group=by_group)
        self.attempts = Attempts()
        self._order: StandardOrder | GroupOrder = GroupOrder() if settings.fifo else StandardOrder()
        self._hidden = Hidden()
        self._receipts = receipts
        self._wake = wake
        self._sequence = 0
        #: No message reaches the end of its retention before this moment minus the retention.
        self._oldest_sent = float("inf")

    def add(self, message: Message, delay: float, *, now: float) -> None:
        """A message enters the queue, sent or moved; with a delay it is hidden first."""
        self._sequence += 1
        message.sequence = self._sequence
        if self.settings.fifo:
            message.sequence_number = f"{18_870_000_000_000_000_000 + self._sequence * 256}"
        self.messages[self._sequence] = message
        self._oldest_sent = min(self._oldest_sent, message.sent)
        if delay > 0:
            message.state = DELAYED
            message.visible_at = now + delay
            self.delayed += 1
            self._order.add_hidden(message)
            self._hide(message.visible_at, [message.sequence])
            return
        message.state = READY
        self.ready += 1
        self._order.add(message)
        if self.watched:
            self._wake(self)

    def _hide(self, moment: float, sequences: list[int]) -> None:
        self._hidden.push(moment, sequences)
        if self._hidden.bulk > 10_000 + 2 * (self.in_flight + self.delayed):
            self._hidden.compact(self._is_hidden_until)
        if self.watched:
            self._wake(self)

    def _is_hidden_until(self, sequence: int, moment: float) -> bool:
        message = self.messages.get(sequence)
        return message is not None and message.visible_at == moment and message.state in (DELAYED, IN_FLIGHT)

    def advance(self, now: float) -> None:
        """Makes visible what is due. Every other operation does this first."""
        if not self._hidden.is_due(now):
            return
        for sequence in self._hidden.due(now):
            message = self.messages.get(sequence)
            if message is None or message.visible_at > now or message.state is READY:
                continue
            if message.state is IN_FLIGHT and self.events is not None:
                self._record("expire", message, now=now, at=message.visible_at)
            self._show(message)

    def _show(self, message: Message) -> None:
        if message.state is DELAYED:
            self.delayed -= 1
        else:
            self.in_flight -= 1
        message.state = READY
        self.ready += 1
        self._order.returned(message)
        if self.watched:
            self._wake(self)

    def next_moment(self) -> float | None:
        """The earliest moment at which `advance` may make a message visible."""
        return self._hidden.next_moment()

    def expire(self, now: float) -> None:
        """Drops every message whose retention ended. Cheap while none can have."""
        limit = now - self.settings.retention
        if self._oldest_sent > limit:
            return
        for message in [message for message in self.messages.values() if message.sent <= limit]:
            self._remove(message)
            self._order.left(message)
            self._record("retention", message, now=now)
        self._oldest_sent = min((message.sent for message in self.messages.values()), default=float("inf"))

    def _remove(self, message: Message) -> None:
        del self.messages[message.sequence]
        if message.state is READY:
            self.ready -= 1
        elif message.state is DELAYED:
            self.delayed -= 1
        else:
            self.in_flight -= 1
        message.state = GONE

    def receive(
        self, limit: int, visibility: float, *, now: float, dead_letter: Callable[[Message], None] | None = None
    ) -> list[tuple[Message, str]]:
        """Gives out up to `limit` visible messages, each with a new receipt handle, hidden for `visibility` seconds.

        A message received as often as the redrive policy allows is not given out: `dead_letter` gets it instead.
        """
        self.advance(now)
        given: list[tuple[Message, str]] = []
        hidden: list[int] = []
        removed: list[Message] = []
        most = self.settings.redrive.receives if self.settings.redrive and dead_letter else 0
        end_of_retention = now - self.settings.retention

        def accept(message: Message) -> bool:
            if message.sent <= end_of_retention or (most and message.receives >= most):
                self._remove(message)
                removed.append(message)
                return False
            message.receipt += 1
            message.receives += 1
            message.total_receives += 1
            message.received = now
            if not message.first_received:
                message.first_received = now
            message.changes = 0
            if visibility > 0:
                message.state = IN_FLIGHT
                message.visible_at = now + visibility
                hidden.append(message.sequence)
            given.append((message, self._receipts.handle(message.sequence, message.receipt)))
            return True

        self._order.take(limit, accept)
        self.ready -= len(hidden)
        self.in_flight += len(hidden)
        if hidden:
            self._hide(now + visibility, hidden)
        for message in removed:
            if message.sent > end_of_retention and dead_letter is not None:
                dead_letter(message)
            else:
                self._record("retention", message, now=now)
        return given

    def again(self, sequences: list[tuple[int, int]], visibility: float, *, now: float) -> list[tuple[Message, str]]:
        """Gives out the same messages with the same receipts (a repeated receive attempt), hidden from now on."""
        given = []
        for sequence, number in sequences:
            message = self.messages[sequence]
            message.visible_at = now + visibility
            given.append((message, self._receipts.handle(sequence, number)))
        self._hide(now + visibility, [sequence for sequence, _ in sequences])
        return given

    def withdraw(self, limit: int, *, now: float) -> list[Message]:
        """Takes up to `limit` visible messages out of the queue, for a move task."""
        self.advance(now)
        taken: list[Message] = []

        def accept(message: Message) -> bool:
            self._remove(message)
            taken.append(message)
            return True

        self._order.take(limit, accept)
        return taken

    def find(self, handle: str) -> tuple[Message | None, int]:
        """The message of a receipt handle (None: gone) and the receipt's number. Raises ReceiptHandleIsInvalid."""
        read = self._receipts.read(handle)
        if read is None:
            raise SqsError(
                "ReceiptHandleIsInvalid", f'The input receipt handle "{handle}" is not a valid receipt handle.'
            )
        return self.messages.get(read[0]), read[1]

    def delete(self, handle: str, *, now: float) -> Outcome:
        """Deletes by receipt handle; anything but DONE deleted nothing. Raises ReceiptHandleIsInvalid."""
        self.advance(now)
        message, number = self.find(handle)
        outcome = judge_delete(message, number, fifo=self.settings.fifo, now=now)
        if self.events is not None:
            self._record("delete", message, now=now, number=number, outcome=outcome.value)
        if message is not None and outcome is Outcome.DONE:
            self._remove(message)
            self._order.left(message)
            if self.watched:
                self._wake(self)
        return outcome

    def change_visibility(self, handle: str, seconds: float, *, now: float, strict: bool) -> Outcome:
        """Hides the message of a receipt for `seconds` from now; 0 makes it visible. Raises ReceiptHandleIsInvalid."""
        self.advance(now)
        message, number = self.find(handle)
        outcome = judge_change(message, number, seconds, refuses=strict or self.settings.fifo, now=now)
        if self.events is not None:
            self._record("visibility", message, now=now, number=number, seconds=seconds, outcome=outcome.value)
        if message is not None and outcome is Outcome.DONE:
            message.changes += 1
            message.visible_at = now + seconds
            if seconds > 0:
                self._hide(message.visible_at, [message.sequence])
            else:
                self._show(message)
        return outcome

    def lapse(self, limit: int, *, now: float) -> int:
        """A fault: up to `limit` messages in flight become visible before their time. How many did."""
        self.advance(now)
        chosen = [message for message in self.messages.values() if message.state is IN_FLIGHT][:limit]
        for message in chosen:
            message.visible_at = now
            self._record("expire", message, now=now, at=now, fault=True)
            self._show(message)
        return len(chosen)

    def reissue(self, message: Message) -> str:
        """A fault: the message gets one more receipt, as if it had been received again at once."""
        message.receipt += 1
        message.receives += 1
        message.total_receives += 1
        return self._receipts.handle(message.sequence, message.receipt)

    def purge(self) -> None:
        """Drops every message, in flight and delayed ones too, and what deduplication knows."""
        for message in self.messages.values():
            message.state = GONE
        self.messages.clear()
        self._order.clear()
        self._hidden.clear()
        self.deduplication.clear()
        self.attempts.clear()
        self.ready = self.delayed = self.in_flight = 0
        self._oldest_sent = float("inf")

    def _record(self, event: str, message: Message | None, *, now: float, **fields: object) -> None:
        if self.events is None:
            return
        if message is not None:
            fields |= {"message_id": message.message_id, "receipt": f"{message.sequence}.{message.receipt}"}
        self.events.record(event, now=now, queue=self.name, **fields)
