"""Poller process: takes over what a predecessor held when it died, from the lease table."""

from __future__ import annotations

from worker.leases import Lease, LeaseState, LeaseTable
from worker.message import Kind
from worker.policy import arrivals
from worker.policy.delivery import Delivery
from worker.policy.ledger import Ledger


def adopt(ledger: Ledger, table: LeaseTable, *, handlers: set[int], now: float) -> int:
    """Enter every record into the ledger, beats due at once; returns how many.

    `handlers`: the living ones, which go on with what they were given and will tell. Everything else has no body any
    more and is released.
    """
    records = table.records()
    for lease in records:
        if not lease.receipt:
            table.remove(lease.place)  # an oversized receipt was not kept: the lease can only lapse
            continue
        delivery = _delivery(lease, now)
        settled = lease.state is LeaseState.SETTLING
        kind = Kind(lease.kind) if settled and lease.kind else None
        # A reject or forward whose send was not confirmed: its handler tells it again, with the body.
        retold = settled and kind in (Kind.REJECT, Kind.FORWARD)
        running = lease.handler in handlers and (lease.state is LeaseState.DISPATCHED or retold)
        arrivals.adopted(ledger, delivery, running=running, kind=kind)
    arrivals.adoption_complete(ledger)
    return len(records)


def _delivery(lease: Lease, now: float) -> Delivery:
    delivery = Delivery(
        lease.seq, lease.message_id, receipt=lease.receipt, group=lease.group, received_at=lease.received_at
    )
    delivery.place = lease.place
    delivery.handler = lease.handler
    delivery.attempts = lease.attempts
    delivery.crashes = lease.crashes
    delivery.lease_end = lease.lease_end
    delivery.beat_due = now
    return delivery
