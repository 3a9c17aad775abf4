"""Second deliveries of a message that is held already: SQS delivers at least once, now and then twice."""

from __future__ import annotations

from tests.policy import build
from tests.policy.build import message
from worker.policy import arrivals, outcomes
from worker.policy.delivery import Delivery
from worker.policy.ledger import Ledger


def twice(ledger: Ledger) -> Delivery:
    """A message that was received twice, and runs."""
    first, _ = build.receive(ledger, message("a"), message("a", count=2))
    build.dispatch(ledger)
    return first


def test_a_release_ends_the_leases_of_all_receipts_of_a_standard_queue() -> None:
    """SQS shows the message to everybody then; run by the second receipt, it would run here and elsewhere at once."""
    ledger = build.ledger()
    first = twice(ledger)
    outcomes.retried(ledger, first.seq, 0.0, why="", now=1.0, chance=0.5)
    assert build.settle_all(ledger, now=1.0) == [("hide", "a")]
    assert not ledger.deliveries
    assert build.dispatch(ledger) == []


def test_a_second_receipt_of_a_fifo_queue_stays_a_lease() -> None:
    """There only the newest receipt hides a message."""
    ledger = build.ledger(fifo=True)
    first, second = build.receive(ledger, message("a", group="g"), message("a", group="g", count=2))
    build.dispatch(ledger)
    ledger.release(first)
    ledger.begin(ledger.hides.popleft())
    ledger.unsettled(first, final=True, why="stale", now=1.0, chance=0.5)
    assert list(ledger.deliveries.values()) == [second]


def test_what_a_full_table_cannot_hold_is_left_to_its_visibility_timeout() -> None:
    """A broker that brings more than was asked for must not end the poller."""
    ledger = build.ledger(capacity=2)
    brought = [message("a"), message("b"), message("c")]
    arrivals.received(ledger, brought, sent_at=0.0, now=0.0, chance=0.5)
    assert build.names(list(ledger.deliveries.values())) == ["a", "b"]
    received, accounted = build.balance(ledger)
    assert received == accounted == 2
