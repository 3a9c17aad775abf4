"""Poller process: extends the leases that fall due, ten a request."""

from __future__ import annotations

from dataclasses import dataclass

from worker.policy import beats
from worker.policy.delivery import Delivery
from worker.policy.failures import FailureKind
from worker.policy.health import Gate
from worker.policy.requests import BATCH, Answer, Hide
from worker.poller.state import PollerState

#: Seconds before a denied action is tried again: a policy may have been mended.
DENIED_PAUSE = 60.0


@dataclass(frozen=True, slots=True)
class Beat:
    """The token of a heartbeat: the deliveries in it, each with the timeout asked for."""

    leases: tuple[tuple[Delivery, float], ...]


class Heartbeater:
    """One per poller."""

    def __init__(self, state: PollerState) -> None:
        self._state = state
        # Often enough that a lease lapses only if three beats in a row fail.
        self._gate = Gate(first=0.1, most=min(1.0, state.queue.visibility_timeout / 12))
        self._on_their_way = 0
        self._denied_until = 0.0

    def step(self, now: float) -> float:
        """Send what is due; returns the seconds till the next."""
        ledger = self._state.ledger
        self._state.beats_fail = self._gate.failures > 0 and bool(ledger.hurried or self._on_their_way)
        if ledger.hiding_denied and now >= self._denied_until:
            ledger.hiding_denied = False  # the next beat or release tells whether it is so still
        while (wait := self._gate.wait(now, on_their_way=self._on_their_way)) == 0:
            leases = beats.due(ledger, now, most=BATCH)
            if not leases:
                return max(0.0, beats.next_due(ledger) - now)
            entries = tuple((delivery.receipt, int(seconds)) for delivery, seconds in leases)
            self._on_their_way += 1
            self._state.sqs.start(Hide(entries), Beat(tuple(leases)))
        return wait

    def answered(self, answer: Answer, beat: Beat, now: float) -> None:
        """A heartbeat came back; its leases count from when it was sent."""
        state, ledger = self._state, self._state.ledger
        self._on_their_way -= 1
        state.counts["calls"] += 1
        whole = answer.failure
        if whole is None:
            self._gate.succeeded()
            state.health.succeeded("beat", now=now)
        else:
            state.counts["failures"] += 1
            state.health.failed("beat", whole, now=now)
            self._gate.failed(now=now, chance=state.chance())
            if whole.kind is FailureKind.DENIED:
                self.denied(now)
        # A request refused as a whole says nothing about its leases; only an entry's own answer can end one.
        entries = answer.entries or (whole,) * len(beat.leases)
        for (delivery, seconds), failure in zip(beat.leases, entries, strict=True):
            if failure is None:
                beats.beaten(ledger, delivery, sent_at=answer.sent_at, seconds=int(seconds))
            else:
                beats.unbeaten(ledger, delivery, final=failure.kind.final and whole is None, now=now)

    def denied(self, now: float) -> None:
        """IAM denies sqs:ChangeMessageVisibility: go on without, and say once what that means."""
        state = self._state
        if not state.ledger.hiding_denied and not self._denied_until:
            seconds = state.queue.visibility_timeout
            state.log.error(
                "visibility_change_denied",
                why="IAM denies sqs:ChangeMessageVisibility: no heartbeats; a retry waits for the visibility timeout;"
                f" handler functions are stopped before it ends ({seconds:g} s from the receive). Allow the action.",
            )
        state.ledger.hiding_denied = True
        self._denied_until = now + DENIED_PAUSE
