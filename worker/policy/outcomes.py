"""Pure rules: how messages are given to handlers, and what follows from what handlers say, or from their death."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from worker.message import Kind
from worker.policy.delivery import Action, Delivery, Received, Settlement, State
from worker.policy.ledger import Ledger
from worker.policy.requests import BATCH_BYTES

#: Handler processes that die running a message alone before it is quarantined.
CRASHES = 3
#: Message attributes that SQS takes, and characters of a stack that are worth keeping.
ATTRIBUTES = 10
CRASH_BYTES = 8192

_ACK = Settlement(Action.DELETE, Kind.ACK)


def take(ledger: Ledger, handler: int, *, most: int, most_bytes: int, now: float, places: int = 1) -> list[Delivery]:
    """Give up to `most` deliveries to a handler: one of any size for each of its free `places`, the last of which and
    all others have `most_bytes` of bodies."""
    taken: list[Delivery] = []
    room = most_bytes
    while len(taken) < most and (delivery := ledger.line.peek()) is not None:
        if delivery.lease_end <= now:
            ledger.lose(delivery)  # no effect starts on a lost lease
            continue
        if _too_late(ledger, delivery, now):
            ledger.release(delivery)
            continue
        if len(taken) >= places and delivery.size > room:
            break
        ledger.line.take()
        _dispatch(ledger, delivery, handler)
        taken.append(delivery)
        if len(taken) >= places:
            room -= delivery.size
    ledger.counts["attempts"] += len(taken)
    return taken


def take_suspect(ledger: Ledger, handler: int, *, now: float) -> list[Delivery]:
    """Give the next suspect to a handler that holds nothing else, and will get nothing else meanwhile."""
    while (delivery := ledger.line.peek(suspect=True)) is not None:
        if delivery.lease_end <= now:
            ledger.lose(delivery)
            continue
        if _too_late(ledger, delivery, now):
            ledger.release(delivery)
            continue
        ledger.line.take(suspect=True)
        _dispatch(ledger, delivery, handler)
        ledger.counts["attempts"] += 1
        return [delivery]
    return []


def _too_late(ledger: Ledger, delivery: Delivery, now: float) -> bool:
    """Nobody extends its lease, and half of it is gone: a handler would be cut off in the middle."""
    return ledger.hiding_denied and delivery.lease_end - now < ledger.rules.visibility / 2


def _dispatch(ledger: Ledger, delivery: Delivery, handler: int) -> None:
    delivery.state = State.DISPATCHED
    delivery.handler = handler
    delivery.attempts += 1
    ledger.table.dispatch(delivery.place, handler)


def returned(ledger: Ledger, seqs: Iterable[int]) -> list[Delivery]:
    """A handler gave these back unstarted: uncharged, first in line again, in their order."""
    back = []
    for seq in sorted(seqs, reverse=True):
        delivery = ledger.deliveries.get(seq)
        if delivery is not None and delivery.state is State.DISPATCHED:
            _uncharge(ledger, delivery)
            back.append(delivery)
    return back


def _uncharge(ledger: Ledger, delivery: Delivery) -> None:
    # The counter of attempts stays: it counts what was given out, and a successor never counted what it adopted.
    delivery.attempts -= 1
    ledger.give_out_again(delivery)


def acked(ledger: Ledger, seqs: Iterable[int], *, now: float) -> list[Delivery]:
    """Handler functions returned; gives the deliveries that this was news of."""
    news = []
    deliveries, deletes, settle = ledger.deliveries, ledger.deletes, ledger.table.settle
    for seq in seqs:
        delivery = deliveries.get(seq)
        if delivery is None or delivery.state is not State.DISPATCHED:
            continue  # told once more after the death of a poller
        news.append(delivery)
        if delivery.lost or delivery.lease_end <= now:
            _late_ack(ledger, delivery)
            continue
        delivery.state = State.SETTLING
        delivery.settlement = _ACK
        settle(delivery.place, Kind.ACK)
        if not delivery.calling:
            delivery.queued = True
            deletes.append(delivery)
    return news


def _late_ack(ledger: Ledger, delivery: Delivery) -> None:
    """The lease was lost first. Standard: it is done, and the delete may still work. FIFO: never counted as done."""
    ledger.counts["late"] += 1
    ledger.lose(delivery)
    if ledger.rules.fifo:
        ledger.gone(delivery, "")
        return
    ledger.remember(delivery)
    ledger.settle(delivery, _ACK)


def retried(ledger: Ledger, seq: int, after: float | None, *, why: str, now: float, chance: float) -> Delivery | None:
    """A handler function asked for a retry, or raised; `after` None: by the queue's backoff."""
    delivery = _finished(ledger, seq, now)
    if delivery is not None and not delivery.lost:
        ledger.counts["retried"] += 1
        ledger.tell("message_retried", delivery, why)
        wait = ledger.backoff(delivery.attempts, chance) if after is None else after
        _again(ledger, delivery, wait, why=why, now=now)
    return delivery


def rejected(
    ledger: Ledger, seq: int, why: str, *, body: bytes, attributes: Mapping[str, Mapping[str, str]], now: float
) -> Delivery | None:
    """A handler function rejected the message for good; the handler sends the body along, for a successor has none."""
    delivery = _finished(ledger, seq, now)
    if delivery is not None and not delivery.lost:
        ledger.counts["rejected"] += 1
        delivery.told = True
        _reject(ledger, delivery, why, body=body, attributes=attributes)
    return delivery


def forwarded(ledger: Ledger, seq: int, settlement: Settlement, *, now: float) -> Delivery | None:
    """A handler function wants a message sent before its own is deleted."""
    delivery = _finished(ledger, seq, now)
    if delivery is not None and not delivery.lost:
        delivery.told = True
        ledger.settle(delivery, settlement)
    return delivery


def _finished(ledger: Ledger, seq: int, now: float) -> Delivery | None:
    """The delivery, if the outcome is news; a lost one leaves here."""
    delivery = ledger.deliveries.get(seq)
    if delivery is None or delivery.state is not State.DISPATCHED:
        return None
    if delivery.lost or delivery.lease_end <= now:
        ledger.counts["late"] += 1
        ledger.lose(delivery)
        ledger.gone(delivery, "")
    return delivery


def _again(ledger: Ledger, delivery: Delivery, wait: float, *, why: str, now: float) -> None:
    """Standard: hide it. FIFO: head and tail stay leased and the head waits in the pool.

    Releasing a FIFO tail each time burns the receive counts of messages that never ran: simulated, nine innocents of
    ten were dead-lettered unstarted.
    """
    if not ledger.rules.fifo or ledger.draining or delivery.message is None or delivery.group in ledger.closing:
        ledger.release(delivery, after=wait)
    elif delivery.attempts >= ledger.rules.attempts and ledger.rules.dead_letter:
        why = f"attempt {delivery.attempts} of {ledger.rules.attempts} failed: {why}"
        _reject(ledger, delivery, why, body=delivery.message.body, attributes=delivery.message.message_attributes)
    else:
        ledger.wait(delivery, wait, now=now)


def _reject(
    ledger: Ledger, delivery: Delivery, why: str, *, body: bytes, attributes: Mapping[str, Mapping[str, str]]
) -> None:
    if not ledger.rules.dead_letter:
        ledger.tell("no_dead_letter_queue", delivery, why)
        ledger.release(delivery, after=ledger.rules.retry.most, kind=Kind.REJECT)
        return
    ledger.tell("message_rejected", delivery, why)
    group = delivery.message.group if delivery.message is not None else delivery.group
    settlement = Settlement(
        Action.SEND,
        Kind.REJECT,
        queue=ledger.rules.dead_letter,
        body=body,
        attributes=attributes,
        group_id=group or None,
        deduplication_id=delivery.message_id if ledger.rules.fifo else None,
    )
    ledger.settle(delivery, settlement)


@dataclass(frozen=True, slots=True)
class Death:
    """What the supervisor knows of a dead handler process."""

    caused: bool = False  #: by our will: drain, recycling, hurry; nobody is charged
    overdue: bool = False  #: killed for a message past its deadline
    why: str = ""  #: for people
    details: str = ""  #: for the dead-letter queue: signal, exit code, peak memory, stack


def died(
    ledger: Ledger,
    handler: int,
    running: Set[int],
    *,
    death: Death,
    now: float,
    chance: float,
    in_time: Set[int] = frozenset(),
) -> None:
    """A handler process is dead, and what it still told was heard. `running`: what it died with.

    `in_time`: those of them that were not past their deadline. If it was killed for one that was, they pay nothing.
    """
    mine = [one for one in ledger.deliveries.values() if one.handler == handler and one.state is State.DISPATCHED]
    for delivery in sorted(mine, key=lambda one: one.seq, reverse=True):
        if delivery.seq not in running or death.caused or (death.overdue and delivery.seq in in_time):
            _uncharge(ledger, delivery)
        elif delivery.lost:
            ledger.gone(delivery, "")
        elif death.overdue:
            ledger.tell("message_overdue", delivery, death.why)
            _again(ledger, delivery, ledger.backoff(delivery.attempts, chance), why=death.why, now=now)
        else:
            _crashed(ledger, delivery, alone=len(running) == 1, death=death, now=now, chance=chance)


def _crashed(ledger: Ledger, delivery: Delivery, *, alone: bool, death: Death, now: float, chance: float) -> None:
    """Only a death alone counts. A crash retry stays in the pool, leased; the message runs alone from now on."""
    ledger.counts["crashed"] += 1
    delivery.suspect = True
    delivery.crashes += alone
    ledger.tell("message_crashed", delivery, f"{death.why}; {delivery.crashes} of {CRASHES} deaths alone")
    message = delivery.message
    if delivery.crashes >= CRASHES and message is not None:
        why = f"quarantine: {CRASHES} handler processes died running it; the last: {death.why}"
        _reject(ledger, delivery, why, body=message.body, attributes=_with_details(message, death.details))
    elif ledger.draining or message is None or delivery.group in ledger.closing:
        ledger.release(delivery, after=ledger.backoff(delivery.attempts, chance))
    else:
        ledger.wait(delivery, ledger.backoff(delivery.crashes, chance) if alone else 0.0, now=now)


def _with_details(message: Received, details: str) -> Mapping[str, Mapping[str, str]]:
    """The message's attributes and one more, `worker.crash`; left out where SQS would not take it."""
    attributes = message.message_attributes
    details = "".join(sign for sign in details if sign.isprintable() or sign in "\n\t")[:CRASH_BYTES]
    weight = len(message.body) + sum(len(name) + sum(map(len, one.values())) for name, one in attributes.items())
    if not details or len(attributes) >= ATTRIBUTES or weight + 4 * len(details) + 100 > BATCH_BYTES:
        return attributes
    return {**attributes, "worker.crash": {"DataType": "String", "StringValue": details}}
