"""Poller process: keeps as many long polls on their way as the demand and the room in the ready line allow."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from worker.leases import ATTEMPTS
from worker.policy import arrivals
from worker.policy.backoff import receive_most
from worker.policy.demand import Demand
from worker.policy.failures import FailureKind
from worker.policy.pace import Limit
from worker.policy.requests import Answer, Receive
from worker.poller.state import PollerState
from worker.settings import POLL_GRACE

#: Settlements that may wait before receives slow down: an endpoint that throttles deletes must not fill our table.
_BACKLOG = 200
#: The line is short below this part of its target. Of a full one, what the receives on their way bring is missing too.
_STANDING = 8


@dataclass(frozen=True, slots=True)
class Poll:
    """The token of a receive: what it may bring, and where its attempt id is kept."""

    count: int
    slot: int | None = None


class Receiver:
    """One per poller."""

    def __init__(self, state: PollerState) -> None:
        self._state = state
        queue = state.queue
        most = min(queue.polls, state.most_polls, ATTEMPTS if state.fifo else queue.polls)
        self._demand = Demand(most=most, pause=queue.pause, slowest=receive_most(queue.wait))
        self._expected = 0  #: messages that the receives on their way may bring
        self._mean_bytes = 0.0
        self._told_unusable = False
        # FIFO: ids of receives whose answers were lost; asked again, SQS gives the same messages and receipts.
        self._attempts = deque(state.table.attempts()) if state.fifo else deque()
        self._slots = list(range(ATTEMPTS - 1, -1, -1)) if state.fifo else []
        for slot in self._slots:
            state.table.remember_attempt(slot, "")

    def step(self, now: float, *, target: int) -> float:
        """Send receives for a line of `target` messages; returns the seconds till it wants to be called again."""
        state = self._state
        if state.draining or state.paused or target <= 0:
            state.quiet_until = now + state.queue.wait + POLL_GRACE
            state.pace.bound(Limit.NONE if state.draining or state.paused else Limit.HANDLERS, now)
            return float("inf")
        room, limit = self._room(target)
        count = min(state.queue.max_messages, room)
        # Only a receive that is on its way can hang: what is sent after minutes of a full line is answered from now on.
        idle_until = 0.0 if state.sqs.receiving else now
        state.quiet_until = max(state.quiet_until, self._demand.quiet_until, idle_until)
        demand = self._demand
        if count < self._worth(target):
            # A short line is none that the handlers keep full: what it waits for is on its way.
            standing = limit is not Limit.HANDLERS or state.ledger.line.count * _STANDING >= target
            state.pace.bound(limit if standing else self._supply(), now)
            return float("inf")
        for _ in range(demand.polls(on_their_way=state.sqs.receiving, room=room, count=count, now=now)):
            self._send(count)
        state.pace.bound(self._supply(), now)
        return max(0.0, demand.quiet_until - now) if now < demand.quiet_until else float("inf")

    def _supply(self) -> Limit:
        """What bounds the messages that come, while there is room for them."""
        demand = self._demand
        if demand.failing:
            return Limit.ENDPOINT
        return Limit.POLLS if demand.most_wanted else Limit.QUEUE

    def answered(self, answer: Answer, now: float) -> None:
        """A receive came back."""
        state, request, poll = self._state, answer.request, answer.token
        assert isinstance(request, Receive) and isinstance(poll, Poll)  # noqa: S101,PT018 - the loop routes by type
        self._expected -= poll.count
        state.received_at = now
        state.counts["calls"] += 1
        if poll.slot is not None:
            self._slots.append(poll.slot)
            if answer.failure is None or answer.failure.kind is not FailureKind.TRANSIENT:
                state.table.remember_attempt(poll.slot, "")  # a throttled attempt's id is refused from then on
            else:
                self._attempts.append(request.attempt)
        if answer.failure is not None:
            self._failed(answer, now)
            return
        messages = answer.messages
        state.counts["receives"] += 1
        state.counts["empty_receives"] += not messages
        state.health.succeeded("receive", now=now)
        if answer.unusable and not self._told_unusable:
            self._told_unusable = True  # once: an endpoint that does this does it again
            why = "without a receipt handle or message id; they come again when their visibility timeout ends"
            state.log.error("messages_unusable", count=answer.unusable, why=why)
        self._demand.came(len(messages), asked=request.count, took=now - answer.sent_at, now=now)
        state.pace.receive_trip = self._demand.round_trip
        if messages:
            mean = sum(len(message.body) for message in messages) / len(messages)
            self._mean_bytes = max(mean, 0.8 * self._mean_bytes)
            arrivals.received(state.ledger, messages, sent_at=answer.sent_at, now=now, chance=state.chance())

    def _failed(self, answer: Answer, now: float) -> None:
        failure = answer.failure
        assert failure is not None  # noqa: S101 - the only caller has looked
        self._state.counts["failures"] += 1
        self._state.health.failed("receive", failure, now=now)
        self._demand.failed(failure.kind, now=now, chance=self._state.chance())

    def _worth(self, target: int) -> int:
        """Messages that a receive must be able to bring to be sent: a whole one, or half of what may be held."""
        worth = min(self._state.queue.max_messages, target // 2)
        if self._mean_bytes:
            worth = min(worth, int(self._state.queue.ready_bytes / self._mean_bytes / 2))
        return max(1, worth)

    def _room(self, target: int) -> tuple[int, Limit]:
        """Messages that may be asked for beyond those on their way, and what allows no more."""
        state = self._state
        ledger = state.ledger
        room, limit = target - ledger.line.count - self._expected, Limit.HANDLERS
        backlog = len(ledger.deletes) + len(ledger.hides) + len(ledger.sends) - _BACKLOG
        if backlog > 0 and room > 0:
            room, limit = room - backlog, Limit.DELETES
        if self._mean_bytes:
            spare = state.queue.ready_bytes - ledger.line.bytes - self._expected * self._mean_bytes
            if spare < room * self._mean_bytes:
                least = 0 if ledger.line.count or self._expected else 1  # one message of any size
                room, limit = max(least, int(spare / self._mean_bytes)), Limit.BYTES
        free = state.table.free - self._expected
        return max(0, min(room, free)), Limit.LEASES if free < room else limit

    def _send(self, count: int) -> None:
        state, queue = self._state, self._state.queue
        slot, attempt = None, ""
        if state.fifo and self._slots:
            attempt = self._attempts.popleft() if self._attempts else state.token()
            slot = self._slots.pop()
            state.table.remember_attempt(slot, attempt)
        request = Receive(count, wait=int(queue.wait), visibility=int(queue.visibility_timeout), attempt=attempt)
        self._expected += count
        state.sqs.start(request, Poll(count, slot))
