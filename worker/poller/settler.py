"""Poller process: makes outcomes true in SQS, in batches that gather across receives: deletes, visibility, sends."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from worker.policy.backoff import visibility
from worker.policy.delivery import Action, Delivery, State
from worker.policy.failures import UNTOLD, Failure, FailureKind
from worker.policy.health import Gate
from worker.policy.requests import BATCH, BATCH_BYTES, Answer, Delete, Hide, Outgoing, Request, Send
from worker.poller.bookkeeper import Bookkeeper
from worker.poller.state import PollerState

#: Seconds a settlement may wait for others of its kind: at load a batch is full long before. A delete is waited for by
#: nobody; a forward or a retry is by whoever handles it next, and on FIFO the next of its group is.
LINGER = {Action.DELETE: 0.1, Action.HIDE: 0.02, Action.SEND: 0.02}
LINGER_FIFO = 0.002
#: Seconds between two calls of a kind while it fails.
_GATE_FIRST, _GATE_MOST = 0.2, 5.0
#: What health and logs call the actions.
_NAMES = {Action.DELETE: "delete", Action.HIDE: "hide", Action.SEND: "send"}
#: Kinds after which a send is given up: its queue is not ours to wait for, the message goes the retry way.
_NO_SUCH_TARGET = {FailureKind.QUEUE_GONE, FailureKind.DENIED}


@dataclass(frozen=True, slots=True)
class Batch:
    """The token of a settlement request."""

    action: Action
    deliveries: tuple[Delivery, ...]


class Settler:
    """One per poller."""

    def __init__(self, state: PollerState, denied: Callable[[float], None]) -> None:
        self._state = state
        self._denied = denied  #: told when IAM denies the change of visibility
        self._linger = dict.fromkeys(LINGER, LINGER_FIFO) if state.fifo else LINGER
        self._since: dict[Action, float] = {}  #: when the oldest of each kind began to wait
        self._alone: deque[Delivery] = deque()  #: entries of a refused batch, each to be tried by itself
        self._gates = {action: Gate(_GATE_FIRST, _GATE_MOST) for action in _NAMES}
        self._on_their_way = dict.fromkeys(_NAMES, 0)

    def step(self, now: float) -> float:
        """Send every batch that is full or has waited long enough; returns the seconds till the next is due."""
        ledger, wait = self._state.ledger, ledger_wait(self._state, now)
        while self._alone and self._room():
            self._start([self._alone.popleft()], now)
        for action, line in ((Action.DELETE, ledger.deletes), (Action.SEND, ledger.sends), (Action.HIDE, ledger.hides)):
            wait = min(wait, self._flush(action, line, now))
        return wait

    def _flush(self, action: Action, line: deque[Delivery], now: float) -> float:
        state = self._state
        if action is Action.HIDE and now < state.release_from and state.sqs.receiving:
            # Our own long polls would bring it back: each time costs a receive, and too many dead-letter it unstarted.
            return state.release_from - now
        while line and self._room():
            held_back = self._gates[action].wait(now, on_their_way=self._on_their_way[action])
            if held_back:
                return held_back
            due = self._since.setdefault(action, now) + self._linger[action]
            if len(line) < BATCH and now < due and not self._state.draining:
                return due - now
            self._start(_cut(action, line), now)
            self._since.pop(action, None)
        # With no room left, the next answer wakes the loop.
        return float("inf")

    def _room(self) -> bool:
        return self._state.sqs.settling < self._state.most_calls

    def _start(self, deliveries: list[Delivery], now: float) -> None:
        ledger = self._state.ledger
        for delivery in deliveries if _action(deliveries[0]) is Action.HIDE else ():
            # A standard queue obeys old receipts too: a late release would end the lease of whoever has the message.
            if delivery.state is State.SETTLING and delivery.over(now):
                ledger.lapse(delivery)
        live = [delivery for delivery in deliveries if ledger.begin(delivery)]
        if live:
            action = _action(live[0])
            self._on_their_way[action] += 1
            self._state.sqs.start(_request(live), Batch(action, tuple(live)))

    def answered(self, answer: Answer, batch: Batch, now: float) -> None:
        """A settlement request came back. One that answered 200 can have failed entries."""
        state, ledger = self._state, self._state.ledger
        state.counts["calls"] += 1
        self._on_their_way[batch.action] -= 1
        if state.until_empty and batch.action is Action.HIDE:
            self._note_hidden(answer, batch, now)
        whole = answer.failure
        if whole is None:
            state.pace.settled(now - answer.sent_at)
            self._gates[batch.action].succeeded()
            state.health.succeeded(_NAMES[batch.action], now=now)
        elif self._refused(whole, answer, batch, now):
            return
        entries = answer.entries or (whole,) * len(batch.deliveries)
        for delivery, failure in zip(batch.deliveries, entries, strict=True):
            if batch.action is Action.DELETE and state.book is not None:
                _tell(state.book, delivery, failure)
            if failure is None:
                ledger.confirmed(delivery, now=now)
            else:
                final = _final(failure, answer.request)
                if failure.code == UNTOLD:
                    ledger.doubt(delivery, sent_at=answer.sent_at)
                ledger.unsettled(delivery, final=final, why=str(failure), now=now, chance=state.chance())

    def _note_hidden(self, answer: Answer, batch: Batch, now: float) -> None:
        """When they come back: those that are hidden, and those that may be, since their answer is lost."""
        failures = answer.entries or (answer.failure,) * len(batch.deliveries)
        for delivery, failure in zip(batch.deliveries, failures, strict=True):
            maybe = failure is None or failure.kind is FailureKind.TRANSIENT
            if maybe and delivery.settlement is not None:
                self._state.hidden_until = max(self._state.hidden_until, now + delivery.settlement.seconds)

    def _refused(self, whole: Failure, answer: Answer, batch: Batch, now: float) -> bool:
        """A request failed as a whole; True if its deliveries are in a queue again, or given up."""
        state = self._state
        state.counts["failures"] += 1
        state.health.failed(_NAMES[batch.action], whole, now=now)
        if whole.kind is FailureKind.INVALID and len(batch.deliveries) > 1:
            # One entry made SQS refuse all; only by itself it shows which.
            for delivery in batch.deliveries:
                delivery.calling, delivery.queued = False, True
            self._alone.extend(batch.deliveries)
            return True
        if _final(whole, answer.request):
            return False
        self._gates[batch.action].failed(now=now, chance=state.chance())
        if batch.action is Action.DELETE and state.book is not None:
            for delivery in batch.deliveries:
                state.book.not_deleted(delivery, whole)
        if batch.action is Action.HIDE and whole.kind is FailureKind.DENIED:
            self._denied(now)
        for delivery in batch.deliveries:
            delivery.calling = False
            if whole.unknown:
                state.ledger.doubt(delivery, sent_at=answer.sent_at)
            if delivery.over(now):
                state.ledger.lapse(delivery)
            elif delivery.seq in state.ledger.deliveries:
                state.ledger.enqueue(delivery)
        return True


def _tell(book: Bookkeeper, delivery: Delivery, failure: Failure | None) -> None:
    """A delete after the lease's end says nothing: SQS confirms it whether the message was there or not."""
    if failure is not None:
        book.not_deleted(delivery, failure)
    elif not delivery.lost and delivery.state is State.SETTLING:
        book.deleted(delivery)


def ledger_wait(state: PollerState, now: float) -> float:
    """Bring back what waited in the pool; seconds till the next of it."""
    return max(0.0, state.ledger.tick(now) - now)


def _action(delivery: Delivery) -> Action:
    return delivery.settlement.action if delivery.settlement is not None else Action.DELETE


def _final(failure: Failure, request: Request) -> bool:
    return failure.kind.final or (isinstance(request, Send) and failure.kind in _NO_SUCH_TARGET)


def _cut(action: Action, line: deque[Delivery]) -> list[Delivery]:
    """The next batch: ten entries; sends go to one queue and stay below 1 MiB together."""
    if action is not Action.SEND:
        return [line.popleft() for _ in range(min(BATCH, len(line)))]
    cut: list[Delivery] = []
    kept: list[Delivery] = []
    queue, size = "", 0
    while line and len(cut) < BATCH:
        delivery = line.popleft()
        settlement = delivery.settlement
        if settlement is None:
            continue
        bytes_of = _weight(delivery)
        queue = queue or settlement.queue
        if settlement.queue == queue and (not cut or size + bytes_of <= BATCH_BYTES):
            cut.append(delivery)
            size += bytes_of
        else:
            kept.append(delivery)
    line.extendleft(reversed(kept))
    return cut


def _weight(delivery: Delivery) -> int:
    """Bytes that SQS counts: the body, and names, types and values of attributes."""
    settlement = delivery.settlement
    if settlement is None:
        return 0
    parts = (len(name) + sum(map(len, one.values())) for name, one in settlement.attributes.items())
    return len(settlement.body) + sum(parts)


def _request(deliveries: list[Delivery]) -> Request:
    first = deliveries[0].settlement
    settlements = [one.settlement for one in deliveries if one.settlement is not None]
    if first is None or first.action is Action.DELETE:
        return Delete(tuple(delivery.receipt for delivery in deliveries))
    if first.action is Action.HIDE:
        pairs = zip(deliveries, settlements, strict=True)
        return Hide(tuple((delivery.receipt, visibility(settlement.seconds)) for delivery, settlement in pairs))
    entries = tuple(
        Outgoing(one.body, one.attributes, one.group_id, one.deduplication_id, one.delay) for one in settlements
    )
    return Send(first.queue, entries)
