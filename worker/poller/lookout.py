"""Poller process: looks at the queue's depth when receives stay empty; a queue that is full of messages looks empty."""

from __future__ import annotations

from worker.policy.requests import Answer, Look
from worker.policy.silence import Silence
from worker.poller.state import PollerState

#: What health and logs call it.
_NAME = "in_flight"


class Lookout:
    """One per poller."""

    def __init__(self, state: PollerState, silence: Silence | None = None) -> None:
        self._state = state
        self._silence = silence or Silence()
        self._looking = False

    def step(self, now: float) -> float:
        """Look if it is time; returns the seconds till it may be."""
        state = self._state
        # A short poll is answered with OverLimit and needs no look; who does not receive need not know.
        if state.draining or state.paused or self._looking or not state.queue.wait:
            return float("inf")
        if now < self._silence.due:
            return self._silence.due - now
        self._looking = True
        state.sqs.start(Look(), None)
        return float("inf")

    def received(self, count: int, now: float) -> None:
        """A receive has brought `count` messages."""
        self._silence.came(count, now=now)
        if count:
            self._state.health.succeeded(_NAME, now=now)

    def answered(self, answer: Answer, now: float) -> None:
        """The look came back."""
        state = self._state
        self._looking = False
        state.counts["calls"] += 1
        if answer.depth is None:
            # Often sqs:GetQueueAttributes is denied; that takes nothing from the work.
            state.counts["failures"] += 1
            self._silence.unknown(now=now)
            state.log.debug("depth_unknown", why=str(answer.failure))
            return
        depth = answer.depth
        full = self._silence.looked(waiting=depth.visible, in_flight=depth.in_flight, now=now)
        if full is not None:
            state.health.failed(_NAME, full, now=now)
        else:
            state.health.succeeded(_NAME, now=now)
