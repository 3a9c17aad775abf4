"""Test process: seeded mistakes in the rules: ledger, arrivals, outcomes, ordering."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from tests.model.mutants import mutant
from worker.message import Kind
from worker.policy import arrivals, outcomes
from worker.policy.delivery import Action, Delivery, Received, Settlement, State
from worker.policy.ledger import Ledger
from worker.policy.ordering import GroupLine


@mutant("LOST")
def early_ack(patch: pytest.MonkeyPatch) -> None:
    """Deleted at arrival."""
    right = arrivals.received

    def received(ledger: Ledger, *args: Any, **times: Any) -> None:
        right(ledger, *args, **times)
        for delivery in ledger.line.standing():
            ledger.settle(delivery, Settlement(Action.DELETE, Kind.ACK))

    patch.setattr(arrivals, "received", received)


@mutant("took effect 2 times", kinds=("entry again",), drains=False)
def the_lease_is_dropped_before_the_delete_is_confirmed(patch: pytest.MonkeyPatch) -> None:
    """As soon as it is sent."""
    right = Ledger.begin

    def begin(self: Ledger, delivery: Delivery) -> bool:
        begun = right(self, delivery)
        if begun and delivery.settlement is not None and delivery.settlement.action is Action.DELETE:
            self.gone(delivery, "deleted")
        return begun

    patch.setattr(Ledger, "begin", begin)


@mutant("m1 runs while m0", fifo=True)
def two_of_a_group_start(patch: pytest.MonkeyPatch) -> None:
    """Every message of a group is ready."""
    right = GroupLine.add

    def add(self: GroupLine, delivery: Delivery) -> None:
        right(self, delivery)
        if len(self._groups[delivery.group]) > 1:
            self._line.append(delivery)

    patch.setattr(GroupLine, "add", add)


@mutant("m1 runs while m0", kinds=("retry",), fifo=True, drains=False)
def a_group_goes_on_after_a_failure(patch: pytest.MonkeyPatch) -> None:
    """The failed head is hidden, as on a standard queue, and the next one starts."""

    def again(ledger: Ledger, delivery: Delivery, wait: float, *, why: str, now: float) -> None:
        delivery.state, delivery.settlement = State.SETTLING, Settlement(Action.HIDE, Kind.RETRY, seconds=wait)
        delivery.queued = True
        ledger.hides.append(delivery)

    patch.setattr(outcomes, "_again", again)


@mutant("LOST", kinds=("reject",))
def a_rejected_message_is_deleted_before_it_is_sent(patch: pytest.MonkeyPatch) -> None:
    """Then sent: a death in between loses it."""
    right = Ledger.confirmed

    def reject(ledger: Ledger, delivery: Delivery, why: str, **_fields: Any) -> None:
        ledger.settle(delivery, Settlement(Action.DELETE, Kind.REJECT))

    def confirmed(self: Ledger, delivery: Delivery, *, now: float) -> None:
        if delivery.settlement == Settlement(Action.DELETE, Kind.REJECT):
            delivery.settlement = Settlement(Action.SEND, Kind.FORWARD, queue="dead-letters", body=b"0")
        right(self, delivery, now=now)

    patch.setattr(outcomes, "_reject", reject)
    patch.setattr(Ledger, "confirmed", confirmed)


@mutant("LOST", kinds=("reject",), dead_letter=False)
def a_rejected_message_without_a_dead_letter_queue_is_deleted(patch: pytest.MonkeyPatch) -> None:
    """Nothing is ever deleted because nobody wants it."""

    def reject(ledger: Ledger, delivery: Delivery, why: str, **_fields: Any) -> None:
        ledger.settle(delivery, Settlement(Action.DELETE, Kind.REJECT))

    patch.setattr(outcomes, "_reject", reject)


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


@mutant("its lease is over", kinds=("response late",))
def a_lease_counts_from_the_arrival_of_the_response(patch: pytest.MonkeyPatch) -> None:
    """It counts from when the receive was sent."""
    right = arrivals.received

    def received(ledger: Ledger, messages: Iterable[Received], *, sent_at: float, now: float, chance: float) -> None:
        right(ledger, messages, sent_at=now, now=now, chance=chance)

    patch.setattr(arrivals, "received", received)


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


@mutant("is given back before", kinds=("entry again",), fifo=True)
def a_head_is_released_before_its_tail(patch: pytest.MonkeyPatch) -> None:
    """All at once: if the tail's release fails, SQS may show the head alone."""
    right = Ledger.enqueue

    def enqueue(self: Ledger, delivery: Delivery) -> None:
        right(self, delivery)
        settlement = delivery.settlement
        if settlement and settlement.action is Action.HIDE and not (delivery.queued or delivery.calling):
            self.hides.append(delivery)
            delivery.queued = True

    patch.setattr(Ledger, "enqueue", enqueue)


@mutant("is given back before", fifo=True)
def what_arrives_in_a_drain_is_released_in_its_order(patch: pytest.MonkeyPatch) -> None:
    """Head first. The first search of this model found it in the shipped code."""
    right = arrivals.received

    def received(ledger: Ledger, messages: Iterable[Received], **times: float) -> None:
        for message in messages:
            right(ledger, (message,), **times)

    patch.setattr(arrivals, "received", received)


@mutant("no handler function was ever started", kinds=("poller killed",), redrive=3, handlers=1, drains=False)
def a_parked_delivery_is_given_back_at_once(patch: pytest.MonkeyPatch) -> None:
    """A release with 0 comes again before it is confirmed, is parked, given back, and so on: a hot loop."""

    def inherit(self: Ledger, first: Delivery, heir: Delivery) -> None:
        self.by_id[heir.message_id] = heir
        self.release(heir)

    patch.setattr(Ledger, "_inherit", inherit)


@mutant("took effect 2 times", kinds=("entry final",))
def what_is_done_is_not_remembered(patch: pytest.MonkeyPatch) -> None:
    """A delete that is refused for good: the message comes again, and runs again."""
    patch.setattr(Ledger, "remember", lambda self, delivery: None)


@mutant("LOST", kinds=("retry",), drains=False)
def marked_as_done_before_the_effect(patch: pytest.MonkeyPatch) -> None:
    """At arrival: when the function has raised and the message comes again, it is deleted."""
    right = arrivals.received

    def received(ledger: Ledger, *args: Any, **times: Any) -> None:
        right(ledger, *args, **times)
        for delivery in ledger.line.standing():
            ledger.remember(delivery)

    patch.setattr(arrivals, "received", received)


@mutant("m1 runs while m0", kinds=("lapse",), fifo=True)
def a_late_ack_counts_as_done_on_fifo(patch: pytest.MonkeyPatch) -> None:
    """The next of the group starts, though nobody knows who has the one before it."""

    def late_ack(ledger: Ledger, delivery: Delivery) -> None:
        ledger.remember(delivery)
        ledger.gone(delivery, "deleted")

    patch.setattr(outcomes, "_late_ack", late_ack)


@mutant("no handler function was ever started", kinds=("handler killed",), credit=2, handlers=1)
def neighbours_are_charged_for_a_crash(patch: pytest.MonkeyPatch) -> None:
    """What the dead handler had not started counts as run; at the limit (one, here) it is quarantined."""
    right = outcomes.died

    def died(ledger: Ledger, handler: int, running: set[int], **fields: Any) -> None:
        given = {one.seq for one in ledger.deliveries.values() if one.handler == handler}
        right(ledger, handler, given, **fields)

    patch.setattr(outcomes, "CRASHES", 0)
    patch.setattr(outcomes, "died", died)


@mutant("STUCK")
def what_arrives_in_a_drain_is_kept(patch: pytest.MonkeyPatch) -> None:
    """Nobody gives it out any more, and nobody gives it back."""
    patch.setattr(arrivals, "_judge", lambda ledger, delivery, **_fields: None)


@mutant("two calls with one receipt", beats=True)
def a_settlement_goes_out_beside_a_beat(patch: pytest.MonkeyPatch) -> None:
    """Whichever SQS takes last decides."""
    right = Ledger.begin

    def begin(self: Ledger, delivery: Delivery) -> bool:
        delivery.calling = False
        return right(self, delivery)

    patch.setattr(Ledger, "begin", begin)


@mutant("UNSETTLED")
def a_drain_gives_back_what_is_done(patch: pytest.MonkeyPatch) -> None:
    """Faster than waiting for deletes, and every one of them comes again."""
    right = Ledger.drain

    def drain(self: Ledger) -> None:
        while self.deletes:
            delivery = self.deletes.popleft()
            delivery.settlement = Settlement(Action.HIDE, Kind.RETRY)
            self.hides.append(delivery)
        right(self)

    patch.setattr(Ledger, "drain", drain)


@mutant("conservation", kinds=("response late",))
def a_lost_delivery_is_not_counted(patch: pytest.MonkeyPatch) -> None:
    """It leaves, and no counter tells how."""

    def lose(self: Ledger, delivery: Delivery) -> None:
        self.gone(delivery, "")

    patch.setattr(Ledger, "lose", lose)
