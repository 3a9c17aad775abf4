"""Pure rules: which leases are extended when, and what follows from the answer.

The first beat is due a third of the visibility timeout after arrival and then every third: a lease lapses only if three
beats in a row fail.
"""

from __future__ import annotations

import heapq

from worker.message import LONGEST_LEASE
from worker.policy.delivery import Delivery, State
from worker.policy.ledger import Ledger


def due(ledger: Ledger, now: float, *, most: int) -> list[tuple[Delivery, float]]:
    """Up to `most` deliveries to extend now, each with its new timeout in seconds; they are calling from here on."""
    beats: list[tuple[Delivery, float]] = []
    while len(beats) < most and (delivery := _next(ledger, now)) is not None:
        delivery.beat_due = now + ledger.rules.visibility / 3
        ledger.deliveries.move_to_end(delivery.seq)
        if delivery.lost:
            continue
        if delivery.over(now):
            ledger.lapse(delivery)
            continue
        # Past 12 hours from the receive SQS answers with an error, not with less.
        if ledger.hiding_denied:
            continue
        seconds = min(ledger.rules.visibility, LONGEST_LEASE - (now - delivery.received_at))
        if seconds >= 1 and not delivery.calling:
            delivery.calling = True
            beats.append((delivery, seconds))
    return beats


def _next(ledger: Ledger, now: float) -> Delivery | None:
    hurried = ledger.hurried
    while hurried and hurried[0][0] <= now:
        delivery = ledger.deliveries.get(heapq.heappop(hurried)[1])
        if delivery is not None:
            return delivery
    if ledger.deliveries:
        first = next(iter(ledger.deliveries.values()))
        if first.beat_due <= now:
            return first
    return None


def next_due(ledger: Ledger) -> float:
    """When due() has something next; infinity if nothing is held."""
    first = next(iter(ledger.deliveries.values())).beat_due if ledger.deliveries else float("inf")
    return min(first, ledger.hurried[0][0]) if ledger.hurried else first


def beaten(ledger: Ledger, delivery: Delivery, *, sent_at: float, seconds: float) -> None:
    """SQS extended the lease; it counts from when the call was sent, which is the earlier and safer moment."""
    delivery.calling = False
    if delivery.seq not in ledger.deliveries:
        return
    delivery.lease_end = max(delivery.lease_end, sent_at + seconds)
    ledger.counts["beats"] += 1
    ledger.table.extend(delivery.place, delivery.lease_end)
    if delivery.state is State.SETTLING:
        ledger.enqueue(delivery)


def unbeaten(ledger: Ledger, delivery: Delivery, *, final: bool, now: float) -> None:
    """A beat failed; `final`: SQS says that the lease is not ours any more."""
    delivery.calling = False
    if delivery.seq not in ledger.deliveries:
        return
    if final:
        ledger.lapse(delivery)
        return
    heapq.heappush(ledger.hurried, (now + min(1.0, ledger.rules.visibility / 12), delivery.seq))
    if delivery.state is State.SETTLING:
        ledger.enqueue(delivery)
