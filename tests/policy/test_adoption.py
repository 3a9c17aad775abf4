"""What a successor takes over: records of a lease table, without their bodies."""

from __future__ import annotations

import pytest

from tests.policy import build
from worker.message import Kind
from worker.policy import arrivals, outcomes
from worker.policy.delivery import Delivery
from worker.policy.ledger import Ledger


def adopt(ledger: Ledger, name: str, *, attempts: int = 0, running: bool = True, kind: Kind | None = None) -> Delivery:
    """A record that a predecessor had given to handler 1, as its lease table tells it."""
    delivery = Delivery(ledger.next_seq, name, receipt=f"receipt-{name}", group="", received_at=0.0)
    delivery.place = ledger.table.add(
        seq=delivery.seq,
        message_id=name,
        receipt=delivery.receipt,
        group="",
        lease_end=build.VISIBILITY,
        received_at=0.0,
        attempts=attempts,
    )
    delivery.handler, delivery.attempts, delivery.lease_end = 1, attempts, build.VISIBILITY
    arrivals.adopted(ledger, delivery, running=running, kind=kind)
    return delivery


def test_what_runs_at_the_change_counts_as_an_attempt() -> None:
    """The table names the attempts before the one that is running: a retry's backoff and limit go by all of them."""
    ledger = build.ledger()
    assert adopt(ledger, "a", attempts=2).attempts == 3


def test_what_never_arrived_is_uncharged_and_no_count_is_below_zero() -> None:
    """A handler that does not know the message gives it back: as many attempts as before it was given out."""
    ledger = build.ledger()
    delivery = adopt(ledger, "a")
    outcomes.returned(ledger, [delivery.seq])
    assert delivery.attempts == 0
    assert ledger.counts["attempts"] >= 0


@pytest.mark.parametrize(("fifo", "calls"), [(False, []), (True, [("hide", "a")])])
def test_a_release_that_may_have_been_made_is_not_made_again(fifo: bool, calls: list[tuple[str, str]]) -> None:
    """Another consumer may have the message: on a standard queue our old receipt would end its lease."""
    ledger = build.ledger(fifo=fifo)
    adopt(ledger, "a", running=False, kind=Kind.RETRY)
    arrivals.adoption_complete(ledger)
    assert build.settle_all(ledger) == calls
    assert not ledger.deliveries
    assert ledger.counts["lost"] == (0 if fifo else 1)
