"""Test process: seeded mistakes in what becomes of a second delivery of a message that is held."""

from __future__ import annotations

import pytest

from tests.model.mutants import mutant
from worker.policy import arrivals
from worker.policy.delivery import Delivery
from worker.policy.ledger import Ledger


@mutant("took effect 2 times", kinds=("second delivery",))
def a_retry_with_a_stale_handle(patch: pytest.MonkeyPatch) -> None:
    """A second delivery is dropped, and the old receipt goes on: its delete succeeds and deletes nothing."""
    right = arrivals._parked

    def parked(ledger: Ledger, delivery: Delivery) -> bool:
        if not right(ledger, delivery):
            return False
        first = ledger.by_id[delivery.message_id]
        first.parked = None
        ledger.gone(delivery, "released")
        return True

    patch.setattr(arrivals, "_parked", parked)


@mutant("m1 runs while m0", kinds=("second delivery", "lapse"), fifo=True, handlers=1, drains=False, prompt=True)
def a_second_receipt_replaces_the_first(patch: pytest.MonkeyPatch) -> None:
    """In its place, with a lease that looks as good as new."""
    right = arrivals._parked

    def parked(ledger: Ledger, delivery: Delivery) -> bool:
        if not right(ledger, delivery):
            return False
        first = ledger.by_id[delivery.message_id]
        first.parked = None
        first.receipt, first.lease_end = delivery.receipt, delivery.lease_end
        ledger.gone(delivery, "released")
        return True

    patch.setattr(arrivals, "_parked", parked)


@mutant("no handler function was ever started", kinds=("poller killed",), redrive=3, handlers=1, drains=False)
def a_parked_delivery_is_given_back_at_once(patch: pytest.MonkeyPatch) -> None:
    """A release with 0 comes again before it is confirmed, is parked, given back, and so on: a hot loop."""

    def inherit(self: Ledger, first: Delivery, heir: Delivery) -> None:
        self.by_id[heir.message_id] = heir
        self.release(heir)

    patch.setattr(Ledger, "_inherit", inherit)


@mutant("took effect 2 times", kinds=("lapse", "second delivery", "response late"), groups=("a",), drains=False)
def an_heir_forgets_newer_receipts(patch: pytest.MonkeyPatch) -> None:
    """They are lost, and theirs is the receipt that deletes. The first search with three faults found it."""
    right = Ledger._inherit

    def inherit(self: Ledger, first: Delivery, heir: Delivery) -> None:
        right(self, first, heir)
        heir.parked = None

    patch.setattr(Ledger, "_inherit", inherit)
