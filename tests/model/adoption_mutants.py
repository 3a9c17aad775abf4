"""Test process: seeded mistakes in the lease table, and in what a successor makes of it."""

from __future__ import annotations

import pytest

from tests.model.mutants import mutant
from worker.leases import LeaseTable
from worker.message import Kind
from worker.policy import arrivals
from worker.policy.delivery import Delivery, State
from worker.policy.ledger import Ledger


@mutant("STUCK", kinds=("poller killed",), drains=False)
def a_successor_keeps_what_has_no_body(patch: pytest.MonkeyPatch) -> None:
    """Neither given out nor released."""
    patch.setattr(arrivals, "adoption_complete", lambda ledger: ledger.line._line.clear())


@mutant("took effect 2 times", kinds=("poller killed",), drains=False)
def a_successor_runs_again_what_runs(patch: pytest.MonkeyPatch) -> None:
    """It takes the bodyless messages of living handlers for lost, and gives them back."""
    right = arrivals.adopted

    def adopted(ledger: Ledger, delivery: Delivery, *, running: bool, kind: Kind | None) -> None:
        right(ledger, delivery, running=False, kind=kind)

    patch.setattr(arrivals, "adopted", adopted)


@mutant("took effect 2 times", kinds=("poller killed",), drains=False)
def a_successor_forgets_acks(patch: pytest.MonkeyPatch) -> None:
    """What the lease table tells as done is released."""
    right = arrivals.adopted

    def adopted(ledger: Ledger, delivery: Delivery, *, running: bool, kind: Kind | None) -> None:
        right(ledger, delivery, running=running, kind=None)

    patch.setattr(arrivals, "adopted", adopted)


@mutant("invalid value for format", kinds=("poller killed",))
def a_successor_does_not_count_the_start_it_adopts(patch: pytest.MonkeyPatch) -> None:
    """Given back, it was uncounted once too often, which no table can hold: found in the shipped code."""
    right = arrivals.adopted

    def adopted(ledger: Ledger, delivery: Delivery, *, running: bool, kind: Kind | None) -> None:
        right(ledger, delivery, running=running, kind=kind)
        delivery.attempts -= delivery.state is State.DISPATCHED

    patch.setattr(arrivals, "adopted", adopted)


@mutant("the lease table tells another story")
def a_record_of_the_table_outlives_its_delivery(patch: pytest.MonkeyPatch) -> None:
    """A successor would beat for it, and release what somebody else may have by then."""
    patch.setattr(LeaseTable, "remove", lambda self, place: None)
