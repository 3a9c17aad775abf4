"""Test process: what the world sees of a poller: the facts that decide what can happen next."""

from __future__ import annotations

from typing import NamedTuple

from tests.model.doubles import Call
from tests.model.poller import NOW, Poller
from worker.leases import LeaseState
from worker.message import Kind
from worker.policy.delivery import Delivery, State
from worker.policy.requests import Delete, Hide
from worker.poller.heartbeater import Beat
from worker.poller.settler import Batch


class Started(NamedTuple):
    """A request that a step started: its receipts (of a send: the messages), each with the seconds to hide it."""

    kind: str  #: delete, hide, beat or send
    entries: tuple[tuple[str, int], ...]


class Held(NamedTuple):
    """One record of the ledger, as the world sees it."""

    message: int
    receipt: str
    state: State
    lost: bool
    over: bool  #: by the ledger's clock
    seq: int


class Facts(NamedTuple):
    """What the world sees of a poller."""

    held: tuple[Held, ...]
    waiting: tuple[int, ...]  #: sequences of what waits for a backoff
    queued: bool  #: the settler has something to start
    done: frozenset[int]  #: messages remembered as done
    releasing: frozenset[int]  #: messages whose release was begun, as a successor would read it
    calls: tuple[Started, ...]  #: on their way
    draining: bool
    ready: bool  #: the line has something to give out
    unnoticed: bool  #: a lease is over by the clock, and its delivery is not lost yet
    seqs: frozenset[int]  #: all that it knows
    order: tuple[object, ...]  #: what tidying is about


def facts(poller: Poller) -> Facts:
    """What the world sees."""
    ledger = poller.ledger
    held = tuple(
        Held(message_of(one.message_id), one.receipt, one.state, one.lost, one.lease_end <= NOW, one.seq)
        for one in ledger.deliveries.values()
    )
    return Facts(
        held=held,
        waiting=tuple(seq for _, seq in ledger._later),
        queued=bool(ledger.deletes or ledger.hides or ledger.sends or poller.settler._alone),
        done=frozenset(message_of(name) for name in ledger.done),
        releasing=frozenset(
            message_of(lease.message_id)
            for lease in ledger.table.records()
            if lease.state is LeaseState.SETTLING and lease.kind == Kind.RETRY
        ),
        calls=tuple(started(call) for call in poller.state.sqs.calls),
        draining=poller.state.draining,
        ready=ledger.line.peek() is not None or ledger.line.peek(suspect=True) is not None,
        unnoticed=any(one.over and not one.lost for one in held),
        seqs=frozenset(one.seq for one in deliveries(poller)).union(
            seq for link in poller.dispatcher.links.values() for seq in link.held
        ),
        order=_order(poller),
    )


def _order(poller: Poller) -> tuple[object, ...]:
    """Its sequences and handlers if they are told as 1, 2, ... already, and so are the places of its table."""
    ledger = poller.ledger
    places = [place for _, place in sorted((one.seq, one.place) for one in ledger.deliveries.values())]
    uids = tuple(poller.dispatcher.links)
    known = {one.handler for one in ledger.deliveries.values()} <= {0, *uids}
    if places != list(range(len(places))) or not known or uids != tuple(range(1, len(uids) + 1)):
        return ()
    return tuple(range(1, ledger.next_seq)), uids


def deliveries(poller: Poller) -> list[Delivery]:
    """Every delivery that the poller knows, some twice: also the gone ones whose calls are on their way."""
    found = list(poller.ledger.deliveries.values())
    for call in poller.state.sqs.calls:
        token = call.token
        found += token.deliveries if isinstance(token, Batch) else [one for one, _ in token.leases]
    return found


def message_of(name: str) -> int:
    """The message of an id, or of a receipt."""
    return int(name.partition(".")[0][1:])


def started(call: Call) -> Started:
    """A request, as the broker sees it."""
    request, token = call
    if isinstance(request, Delete):
        return Started("delete", tuple((receipt, 0) for receipt in request.receipts))
    if isinstance(request, Hide):
        return Started("beat" if isinstance(token, Beat) else "hide", request.entries)
    return Started("send", tuple((one.body.decode(), 0) for one in request.entries))
