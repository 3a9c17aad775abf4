"""Pure rules: how deliveries enter the ledger, from a receive or from a predecessor."""

from __future__ import annotations

from collections.abc import Iterable

from worker.message import Kind
from worker.policy.backoff import till_closed
from worker.policy.delivery import Action, Delivery, Received, Settlement, State
from worker.policy.ledger import Ledger


def received(ledger: Ledger, messages: Iterable[Received], *, sent_at: float, now: float, chance: float) -> None:
    """A receive that was sent at `sent_at` brought these; loss is judged from then, the first beat is due by `now`."""
    rules, table, deliveries, counts = ledger.rules, ledger.table, ledger.deliveries, ledger.counts
    lease_end, beat_due = sent_at + rules.visibility, now + rules.visibility / 3
    fresh: list[Delivery] = []
    damaged = False
    for message in messages:
        if not table.free:
            break  # more than was asked for: SQS shows it again by itself
        group = message.group if rules.fifo else ""
        delivery = Delivery(
            ledger.next_seq, message.message_id, receipt=message.receipt, group=group, received_at=sent_at
        )
        ledger.next_seq += 1
        delivery.message = message
        delivery.size = len(message.body)
        delivery.attempts = max(0, int(message.attributes.get("ApproximateReceiveCount", "1")) - 1)
        delivery.lease_end = lease_end
        delivery.beat_due = beat_due
        delivery.place = table.add(
            seq=delivery.seq,
            message_id=delivery.message_id,
            receipt=delivery.receipt,
            group=group,
            lease_end=lease_end,
            received_at=sent_at,
            attempts=delivery.attempts,
        )
        deliveries[delivery.seq] = delivery
        counts["received"] += 1
        counts["received_bytes"] += delivery.size
        if _parked(ledger, delivery):
            counts["parked"] += 1
            continue
        damaged |= not message.intact
        ledger.line.add(delivery)
        fresh.append(delivery)
    if damaged or ledger.done or ledger.closing or ledger.draining:
        for delivery in reversed(fresh):  # what is given back at once goes tail first, as every release of a group
            _judge(ledger, delivery, chance=chance)


def _parked(ledger: Ledger, delivery: Delivery) -> bool:
    """A second delivery of a held message waits for the first one's end.

    Its receipt never replaces the first: a model found 14 steps in which that runs an older message of a group after a
    newer one.
    """
    first = ledger.by_id.setdefault(delivery.message_id, delivery)
    if first is delivery:
        return False
    delivery.state = State.PARKED
    first.parked = [*(first.parked or ()), delivery]
    return True


def _judge(ledger: Ledger, delivery: Delivery, *, chance: float) -> None:
    message = delivery.message
    if delivery.message_id in ledger.done:
        ledger.settle(delivery, Settlement(Action.DELETE, Kind.ACK, repeated=True))
    elif message is not None and not message.intact:
        ledger.tell("message_damaged", delivery, "the body is missing, or its MD5 is not the one that SQS names")
        ledger.release(delivery, after=ledger.backoff(delivery.attempts + 1, chance))
    elif delivery.group in ledger.closing:
        ledger.release(delivery, after=till_closed(delivery.attempts))
    elif ledger.draining:
        ledger.release(delivery)


def adopted(ledger: Ledger, delivery: Delivery, *, running: bool, kind: Kind | None) -> None:
    """A predecessor's record, its body lost. `running`: a living handler has it and will tell; `kind`: its outcome.

    What had reached its last step goes on: an ack is deleted. A reject or forward is told again by its handler. A
    release may have been made: then another consumer of a standard queue may have the message by now, and a second
    release would end its lease, so this one is left to run out. Call `adoption_complete` after the last one.
    """
    ledger.deliveries[delivery.seq] = delivery
    ledger.next_seq = max(ledger.next_seq, delivery.seq + 1)
    if _parked(ledger, delivery):
        return
    if kind is Kind.RETRY and not ledger.rules.fifo:
        delivery.state = State.SETTLING
        ledger.lose(delivery)
        return
    ledger.line.add(delivery)
    if kind is Kind.ACK:
        ledger.settle(delivery, Settlement(Action.DELETE, Kind.ACK))
    elif running:
        ledger.line.withdraw(delivery)
        delivery.state = State.DISPATCHED
        delivery.attempts += 1  # the table names those before this one


def adoption_complete(ledger: Ledger) -> None:
    """Release everything whose body died with the predecessor; of a group the tail first."""
    for delivery in reversed(ledger.line.standing()):
        if delivery.state is State.READY and delivery.message is None:
            ledger.release(delivery)
