"""Poller process: the story of stopping, with one deadline.

No new receive. Long polls on their way return, since closing their sockets would orphan what they bring. Then what they
brought, the ready line, and what handlers give back is released: any earlier, the polls would bring it back. What runs
goes on, with its beats, till it has an outcome or its handler is killed by the supervisor. Settlements are confirmed.
Then, or at the deadline, it exits.
"""

from __future__ import annotations

import os

from worker.poller.dispatcher import Dispatcher
from worker.poller.state import PollerState
from worker.protocol import ControlFrame

#: Seconds beyond a long poll that an orphaned poller gives itself to settle and go.
_ORPHAN_GRACE = 7.0
#: Seconds before the deadline at which is released what is held, even if a long poll has not returned yet.
_RELEASES = 4.0
#: Seconds between two looks at handlers whose supervisor is dead.
_LOOK = 0.1


class Stopping:
    """One per poller; `code` is set when it is time to exit."""

    def __init__(self, state: PollerState, dispatcher: Dispatcher) -> None:
        self._state = state
        self._dispatcher = dispatcher
        self._deadline = float("inf")
        self._orphaned = False
        self._unsure = 0  #: releases before the drain
        self.code: int | None = None

    def begin(self, deadline: float, now: float) -> None:
        """Drain until `deadline`; a second order can only bring it nearer."""
        state = self._state
        self._deadline = min(self._deadline, deadline)
        state.release_from = self._deadline - _RELEASES
        if not state.draining:
            state.draining = True
            self._unsure = state.ledger.unsure
            # An idle drain lasts as long as the long polls that are open: up to `wait` seconds.
            held, polls = len(state.ledger.deliveries), state.sqs.receiving
            state.log.info("drain_started", held=held, open_polls=polls, seconds=round(deadline - now, 1))
            state.ledger.drain()
            self._dispatcher.recall()

    def orphaned(self, now: float) -> None:
        """The supervisor is dead: its handlers die with it; nobody is left to tell us, and none to start after us."""
        self._orphaned = True
        self._state.log.warning("supervisor_died")
        self.begin(now + self._state.queue.wait + _ORPHAN_GRACE, now)

    def step(self, now: float) -> float:
        """See whether it is over; returns the seconds till the next look."""
        if not self._state.draining or self.code is not None:
            return float("inf")
        if self._orphaned:
            self._dispatcher.presume_dead(now)
        state = self._state
        held, polls = len(state.ledger.deliveries), state.sqs.receiving
        if not held and not polls and not state.sqs.settling:
            if state.book is not None and (wait := state.book.last(now, self._deadline)):
                return wait
            unsure = state.ledger.unsure - self._unsure
            self._finish(os.EX_TEMPFAIL if unsure else 0, unconfirmed=unsure)
        elif now >= self._deadline:
            self._finish(os.EX_TEMPFAIL, unconfirmed=held + polls)
        return min(max(0.0, self._deadline - now), _LOOK if self._orphaned else float("inf"))

    def _finish(self, code: int, *, unconfirmed: int) -> None:
        self.code = code
        self._state.log.info("drain_finished", unconfirmed=unconfirmed)
        self._state.control.send(ControlFrame.DRAINED, {"unconfirmed": unconfirmed})
        self._state.control.flush()
