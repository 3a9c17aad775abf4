"""Poller process: finds out whether the queue is empty, where the pool is to end then; the supervisor decides."""

from __future__ import annotations

from worker.policy.emptiness import MEANING, Evidence
from worker.policy.failures import FailureKind
from worker.policy.requests import Answer, Look
from worker.poller.state import PollerState

#: The token of its looks; the lookout makes others.
ASKED = "emptiness"
#: Seconds for which the same is waited for before the log says so, and between two such lines.
_TELL_AFTER, _TELL_AGAIN = 5.0, 60.0


class Emptiness:
    """One per poller; it rests unless the settings say `until_empty`."""

    def __init__(self, state: PollerState) -> None:
        self._state = state
        self.evidence = Evidence()
        self.awaits = ""  #: what it waits for, one of telemetry.AWAITED
        self._looking = False
        self._tell_at = float("inf")

    def step(self, now: float) -> float:
        """Look at the queue's numbers, if it is time; returns the seconds till it may be."""
        state = self._state
        if not state.until_empty or state.draining:
            return float("inf")
        self._update(now)
        due = float("inf") if self._looking or state.paused else self.evidence.look_due()
        if now >= due:
            self._looking = True
            state.sqs.start(Look(), ASKED)
            due = float("inf")
        return max(0.0, min(due, self._tell_at) - now)

    def received(self, answer: Answer, now: float) -> None:
        """A receive came back."""
        if answer.failure is None:
            self.evidence.received(len(answer.messages) + answer.unusable, sent_at=answer.sent_at, now=now)
        else:
            self.evidence.failed()

    def looked(self, answer: Answer, now: float) -> None:
        """Its look came back."""
        self._looking = False
        self._state.counts["calls"] += 1
        if answer.depth is not None:
            self.evidence.looked(answer.depth, sent_at=answer.sent_at, now=now)
            return
        self._state.counts["failures"] += 1
        denied = answer.failure is not None and answer.failure.kind is FailureKind.DENIED
        if denied:
            why = f"{answer.failure}: receives that bring nothing have to do, which say nothing of other consumers"
            self._state.log.warning("depth_unknown", why=why)
        self.evidence.unknown(denied=denied, now=now)

    def _update(self, now: float) -> None:
        state, evidence = self._state, self.evidence
        evidence.busy(max(state.hidden_until, state.ledger.unsure_until))
        evidence.holds(len(state.ledger.deliveries), now=now)
        if state.paused:
            evidence.busy(now)  # what is not asked for is not known
        awaits = evidence.awaits(now)
        if awaits != self.awaits:
            self.awaits, self._tell_at = awaits, now + _TELL_AFTER if awaits else float("inf")
        if now >= self._tell_at:
            self._tell_at = now + _TELL_AGAIN
            figures = {"held": len(state.ledger.deliveries)} | (evidence.depth._asdict() if evidence.depth else {})
            state.log.info("not_empty_yet", awaits=awaits, why=MEANING[awaits], **figures)
