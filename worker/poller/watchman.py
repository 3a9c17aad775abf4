"""Poller process: judges handlers by the deadlines of their messages; the supervisor acts (supervisor/overdue.py)."""

from __future__ import annotations

from collections.abc import Mapping

from worker.message import LONGEST_LEASE
from worker.policy.delivery import Delivery
from worker.policy.ledger import Ledger
from worker.poller.links import HandlerLink
from worker.poller.state import PollerState
from worker.protocol import ControlFrame
from worker.settings import POLL_GRACE

#: Seconds between two looks at the deadlines of running messages.
_PAUSE = 0.5
#: Seconds from the end of a message's time to the death of a handler that ignores it: the look at it, the ladder
#: (supervisor/overdue.py), the kill. Where no heartbeat is allowed they come off the lease.
_ENDING = 2.0
#: Seconds that a handler may hold messages, run none and tell nothing, before it counts as hung.
_SILENT = 10.0


class Watchman:
    """One per poller. A missed message deadline is a hang, and nothing else is."""

    def __init__(self, state: PollerState, links: Mapping[int, HandlerLink]) -> None:
        self._state = state
        self._links = links
        self._due = 0.0

    def step(self, now: float) -> float:
        """Judge every handler that holds messages; returns the seconds till the next look."""
        if not any(link.held for link in self._links.values()):
            return float("inf")
        if now < self._due:
            return self._due - now
        self._due = now + _PAUSE
        for link in self._links.values():
            self._judge(link, now)
        return _PAUSE

    def _judge(self, link: HandlerLink, now: float) -> None:
        running = link.slot.running()
        held = [entry for entry in running if entry.seq in link.held]
        late = [entry.seq for entry in held if entry.deadline < now or self.expired(entry.seq, now)]
        if not running and link.greeted and link.held and now - link.heard_at > _SILENT + POLL_GRACE:
            late = [min(link.held)]
        if running:
            link.heard_at = now
        link.reported.intersection_update(late)  # what was given more time, and is late again, is told again
        if late and not link.reported:
            # One at a time, as the supervisor climbs its ladders: the signal goes to all that are late.
            seq = min(late)
            link.reported.add(seq)
            self._state.counts["overdue"] += 1
            lease = self.expired(seq, now)
            self._state.control.send(ControlFrame.OVERDUE, {"handler": link.uid, "seq": seq, "lease": lease})

    def expired(self, seq: int, now: float) -> bool:
        """Whether its lease ends and nobody can extend it. Who started before that was known has a later deadline."""
        ledger = self._state.ledger
        delivery = ledger.deliveries.get(seq)
        return ledger.hiding_denied and delivery is not None and expiry(ledger, delivery) <= now


def expiry(ledger: Ledger, delivery: Delivery) -> float:
    """When a handler function must have ended, whatever it asks for: SQS's 12 hours, or a lease that none extends."""
    if ledger.hiding_denied:
        return delivery.lease_end - _ENDING - ledger.rules.visibility / 20
    return delivery.received_at + LONGEST_LEASE
