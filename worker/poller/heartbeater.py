"""Poller process: extends the leases that fall due, ten a request."""

from __future__ import annotations

from dataclasses import dataclass

from worker.policy import beats
from worker.policy.delivery import Delivery
from worker.policy.requests import BATCH, Answer, Hide
from worker.poller.state import PollerState


@dataclass(frozen=True, slots=True)
class Beat:
    """The token of a heartbeat: the deliveries in it, each with the timeout asked for."""

    leases: tuple[tuple[Delivery, float], ...]


class Heartbeater:
    """One per poller."""

    def __init__(self, state: PollerState) -> None:
        self._state = state

    def step(self, now: float) -> float:
        """Send what is due; returns the seconds till the next."""
        ledger = self._state.ledger
        while leases := beats.due(ledger, now, most=BATCH):
            entries = tuple((delivery.receipt, int(seconds)) for delivery, seconds in leases)
            self._state.sqs.start(Hide(entries), Beat(tuple(leases)))
        return max(0.0, beats.next_due(ledger) - now)

    def answered(self, answer: Answer, beat: Beat, now: float) -> None:
        """A heartbeat came back; its leases count from when it was sent."""
        state, ledger = self._state, self._state.ledger
        state.counts["calls"] += 1
        if answer.failure is not None:
            state.counts["failures"] += 1
            state.log.warning("beat_failed", kind=answer.failure.kind, why=str(answer.failure), leases=len(beat.leases))
        entries = answer.entries or (answer.failure,) * len(beat.leases)
        # A refused request says nothing about its leases; only an entry's own answer can end one.
        whole = answer.failure is not None
        for (delivery, seconds), failure in zip(beat.leases, entries, strict=True):
            if failure is None:
                beats.beaten(ledger, delivery, sent_at=answer.sent_at, seconds=int(seconds))
            else:
                beats.unbeaten(ledger, delivery, final=failure.kind.final and not whole, now=now)
