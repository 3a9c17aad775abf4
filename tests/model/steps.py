"""Test process: every step that the shipped poller can take: each is one event, and tells what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import NamedTuple

from tests.model.doubles import Sent, Slot, Wire
from tests.model.facts import Started, deliveries, started
from tests.model.poller import CAPACITY, CHANCE, NOW, VISIBILITY, Poller, boot, rest
from tests.model.scope import Scope
from worker.leases import LeaseState, LeaseTable
from worker.policy import arrivals, outcomes
from worker.policy.delivery import Received
from worker.policy.failures import Failure, FailureKind
from worker.policy.requests import Answer
from worker.poller.adoption import adopt
from worker.poller.heartbeater import Beat
from worker.poller.links import HandlerLink
from worker.slots import Written

Ring = tuple[Written, ...]


class Told(NamedTuple):
    """What a step let out of the poller."""

    started: tuple[Started, ...] = ()
    frames: tuple[tuple[int, Sent], ...] = ()  #: by handler
    code: int | None = None  #: it exits


def _step(happen: Callable[..., None]) -> Callable[..., Told]:
    """What happens, then what the loop does after every event: news go to the handlers. Gives what was let out."""

    @wraps(happen)
    def step(poller: Poller, *args: object) -> Told:
        before = len(poller.state.sqs.calls)
        happen(poller, *args)
        poller.dispatcher._tell_news()
        told = Told(
            started=tuple(started(call) for call in poller.state.sqs.calls[before:]),
            frames=tuple((uid, sent) for uid, link in poller.dispatcher.links.items() for sent in link.channel.taken()),
            code=poller.stopping.code,
        )
        rest(poller)
        return told

    return step


@_step
def arrive(poller: Poller, messages: tuple[tuple[int, str, str, int], ...], late: bool, polls: int) -> None:
    """A long poll's answer: message, receipt, group and receive count of each; `polls`: others on their way."""
    came = [
        Received(
            f"m{message}",
            receipt,
            str(message).encode(),
            {"ApproximateReceiveCount": str(count), "MessageGroupId": group},
            {},
        )
        for message, receipt, group, count in messages
    ]
    poller.state.sqs.receiving = polls
    sent_at = NOW - VISIBILITY if late else NOW
    arrivals.received(poller.ledger, came, sent_at=sent_at, now=NOW, chance=CHANCE)


@_step
def give(poller: Poller) -> None:
    """The dispatcher gives out what may start."""
    poller.dispatcher.step(NOW)


@_step
def hear(poller: Poller, handler: int, frames: tuple[Sent, ...], ring: Ring) -> None:
    """A handler's frames have arrived."""
    link = poller.dispatcher.links[handler]
    link.channel.arrived += frames
    link.slot.ring = ring
    poller.dispatcher.readable(link, NOW)


@_step
def attach(poller: Poller, handler: int, credit: int, ring: Ring) -> None:
    """The supervisor connects a handler."""
    slot = Slot()
    slot.ring = ring
    link = HandlerLink(handler, handler, pid=1, channel=Wire(), slot=slot, now=NOW)
    link.service = None if credit == 1 else 0.01 / credit
    poller.dispatcher.attach(link, NOW)


@_step
def died(poller: Poller, handler: int, caused: bool, running: tuple[int, ...], ring: Ring) -> None:
    """The supervisor has reaped a handler. What it wrote is there to be read."""
    link = poller.dispatcher.links[handler]
    link.slot.runs, link.slot.ring = running, ring
    poller.dispatcher.died(handler, outcomes.Death(caused=caused, why="signal 9"), NOW)


@_step
def settle(poller: Poller) -> None:
    """The settler starts every call that it can."""
    poller.settler.step(NOW)


@_step
def beat(poller: Poller) -> None:
    """Every lease falls due for a beat."""
    for delivery in poller.ledger.deliveries.values():
        delivery.beat_due = NOW
    poller.heartbeater.step(NOW)


@_step
def notice(poller: Poller) -> None:
    """The leases that are over by the clock fall due."""
    over = (one.seq for one in poller.ledger.deliveries.values() if one.lease_end <= NOW and not one.lost)
    poller.ledger.hurried = [(NOW, seq) for seq in over]
    poller.heartbeater.step(NOW)


@_step
def answer(poller: Poller, call: int, results: tuple[FailureKind | None, ...], late: bool) -> None:
    """A request is answered entry by entry (None: it succeeded), or as a whole; `late`: its leases are over again."""
    request, token = poller.state.sqs.calls.pop(call)
    failures = tuple(None if kind is None else Failure(kind, kind.value, "") for kind in results)
    whole = failures[0] if results and results[0] is FailureKind.THROTTLED else None
    sent_at = NOW - VISIBILITY if late else NOW
    came = Answer(token, request, sent_at, failure=whole, entries=() if whole else failures)
    actor = poller.heartbeater if isinstance(token, Beat) else poller.settler
    actor.answered(came, token, NOW)


@_step
def due(poller: Poller, seq: int) -> None:
    """The backoff of one delivery is over."""
    ledger = poller.ledger
    ledger._later = [(NOW, seq), *(entry for entry in ledger._later if entry[1] != seq)]
    ledger.tick(NOW)


@_step
def lapse(poller: Poller, seq: int) -> None:
    """The clock reaches the end of a lease."""
    poller.ledger.deliveries[seq].lease_end = NOW


@_step
def drain(poller: Poller) -> None:
    """The supervisor orders a drain."""
    poller.stopping.begin(NOW + VISIBILITY, NOW)


@_step
def look(poller: Poller) -> None:
    """Is the drain over?"""
    poller.stopping.step(NOW)


@_step
def succeed(poller: Poller, scope: Scope, handlers: tuple[int, ...]) -> None:
    """SIGKILL, and a successor that adopts what the lease table tells; `handlers`: the living ones."""
    table = LeaseTable(bytearray(poller.state.table._memory))
    new = boot(scope, table)
    new.ledger.counts["received"] = adopt(new.ledger, table, handlers=set(handlers), now=NOW)
    for part in fields(Poller):
        setattr(poller, part.name, getattr(new, part.name))


@_step
def tidy(poller: Poller, seqs: tuple[int, ...], uids: tuple[int, ...], over: tuple[int, ...]) -> None:
    """No event: sequences, handlers and places of the table are told as 1, 2, ... in their order, and messages that
    are `over` are forgotten, so that states that differ in nothing else are one.
    """
    ledger, new = poller.ledger, {seq: place for place, seq in enumerate(seqs, 1)}
    uid_of = {uid: place for place, uid in enumerate(uids, 1)}
    for delivery in {id(one): one for one in deliveries(poller)}.values():
        delivery.seq = new[delivery.seq]
        # A dead handler's number decides nothing any more.
        delivery.handler = uid_of.get(delivery.handler, 0)
    ledger.deliveries = type(ledger.deliveries)((one.seq, one) for one in ledger.deliveries.values())
    ledger._later = [(at, new[seq]) for at, seq in ledger._later]
    ledger.next_seq = len(seqs) + 1
    for message in over:
        ledger.done.pop(f"m{message}", None)
    links = poller.dispatcher.links
    poller.dispatcher.links = {uid_of[uid]: links[uid] for uid in sorted(links, key=uid_of.__getitem__)}
    for uid, link in poller.dispatcher.links.items():
        link.uid = link.number = uid
        link.held = {new[seq]: size for seq, size in sorted(link.held.items())}
    _rewrite(poller, uid_of)


def _rewrite(poller: Poller, uid_of: dict[int, int]) -> None:
    """The lease table anew, its records in the order of sequences."""
    ledger = poller.ledger
    old = {lease.place: lease for lease in ledger.table.records()}
    table = ledger.table = poller.state.table = LeaseTable(bytearray(LeaseTable.size(CAPACITY)))
    for _, delivery in sorted(ledger.deliveries.items()):
        lease = old[delivery.place]
        delivery.place = table.add(
            seq=delivery.seq,
            message_id=lease.message_id,
            receipt=lease.receipt,
            group=lease.group,
            lease_end=delivery.lease_end,
            received_at=NOW,
            attempts=0,
        )
        table.ready(delivery.place, attempts=lease.attempts, crashes=lease.crashes)
        if lease.handler in uid_of:
            table.dispatch(delivery.place, uid_of[lease.handler])
        if lease.state is LeaseState.SETTLING:
            table.settle(delivery.place, lease.kind)
