"""Test process: the shipped poller's parts, put together as its loop does, under a clock that stands still.

Ledger, lease table, dispatcher, settler, heartbeater and the story of stopping are the shipped ones. What time would
bring (a beat falls due, a backoff is over, a lease ends) is a step of its own, so that it may come at any moment.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from tests.model.doubles import Port, Silent, Violation, Wire
from tests.model.scope import Scope
from tests.model.states import States
from worker.leases import LeaseTable
from worker.policy.delivery import Delivery, Received, Settlement, State
from worker.policy.ledger import Ledger
from worker.policy.requests import Delete, Hide, Send
from worker.policy.rules import Rules
from worker.poller.dispatcher import Dispatcher
from worker.poller.heartbeater import Heartbeater
from worker.poller.links import HandlerLink
from worker.poller.settler import Settler
from worker.poller.state import PollerState
from worker.poller.stopping import Stopping
from worker.settings import QueueSettings, RetrySettings
from worker.slots import Written

#: The moment at which the clock stands, seconds. What is due lies at NOW or at LATER; a lease that is held ends after.
NOW, LATER, VISIBILITY = 1000.0, 1001.0, 10_000.0
CHANCE = 0.5
#: Records of the lease table: more than there can be deliveries.
CAPACITY = 8


@dataclass(slots=True, eq=False)
class Poller:
    """One poller process."""

    state: PollerState
    dispatcher: Dispatcher
    heartbeater: Heartbeater
    settler: Settler
    stopping: Stopping

    @property
    def ledger(self) -> Ledger:
        return self.state.ledger


def states() -> States:
    """The states of pollers. Left out of the comparison is what decides nothing while the clock stands still."""
    return States(
        shared=(Received, Settlement, Rules, RetrySettings, QueueSettings, Silent, Delete, Hide, Send, Written),
        ignored={
            PollerState: {
                "queue",
                "table",
                "log",
                "control",
                "chance",
                "token",
                "counts",
                "health",
                "quiet_until",
                "pace",
                "cpu",
            },
            Ledger: {"counts", "events", "rules", "news"},
            Delivery: {"tries", "message", "received_at", "size"},
            HandlerLink: {"pid", "slot", "heard_at", "service"},
        },
        copiers={LeaseTable: _copied},
        tellers={
            LeaseTable: lambda table, _: tuple(table.records()),
            Settlement: lambda one, _: (one.action, one.kind, one.seconds > 0, one.repeated),
            Send: lambda request, _: (request.queue, *(one.body for one in request.entries)),
        },
    )


def _copied(table: LeaseTable, copies: dict[int, Any]) -> LeaseTable:
    copy = copies.get(id(table))
    if copy is None:
        copy = copies[id(table)] = LeaseTable(bytearray(table._memory))
        copy._free = list(table._free)
    return copy


def boot(scope: Scope, table: LeaseTable | None = None) -> Poller:
    """A poller's parts, as its boot makes them, before it adopts or receives anything."""
    retry = RetrySettings(first=10.0, most=100.0)
    table = table or LeaseTable(bytearray(LeaseTable.size(CAPACITY)))
    dead_letter = "dead-letters" if scope.dead_letter else ""
    rules = Rules(fifo=scope.fifo, visibility=VISIBILITY, retry=retry, dead_letter=dead_letter, attempts=scope.attempts)
    state = PollerState(
        queue=QueueSettings(name="work", handler="app:handle", url="work", retry=retry),
        ledger=Ledger(table, rules),
        table=table,
        sqs=Port(),
        control=Wire(),
        log=Silent(),
        chance=_chance,
        token=_token,
        health=Silent(),
        pace=Silent(),
    )
    state.sqs.receiving = scope.polls
    dispatcher, heartbeater = Dispatcher(state), Heartbeater(state)
    settler = Settler(state, heartbeater.denied)
    settler._linger = dict.fromkeys(settler._linger, 0.0)
    return Poller(state, dispatcher, heartbeater, settler, Stopping(state, dispatcher))


def _chance() -> float:
    return CHANCE


def _token() -> str:
    return "token"


def rest(poller: Poller) -> None:
    """After a step: whatever has a time is due LATER or never, and counts begin anew. Raises Violation."""
    ledger = poller.ledger
    _balance(ledger)
    for delivery in ledger.deliveries.values():
        delivery.lease_end = NOW + VISIBILITY if delivery.lease_end > NOW else NOW
        delivery.beat_due = NOW + VISIBILITY / 3
        for one in delivery.parked or ():
            one.seq = one.seq if one.seq in ledger.deliveries else 0
    ledger._later = [(LATER, seq) for seq in sorted({seq for _, seq in ledger._later if seq in ledger.deliveries})]
    ledger.hurried = []
    ledger.by_id = dict(sorted(ledger.by_id.items()))
    ledger.events = []
    for line in (ledger.deletes, ledger.hides, ledger.sends, poller.settler._alone):
        _keep(line, [one for one in line if one.seq in ledger.deliveries])
    for line in (ledger.line._line, ledger.line.suspects):
        _keep(line, [one for one in line if one.state not in (State.SETTLING, State.GONE)])
    poller.dispatcher._watchman._due = float("inf")
    poller.settler._since = {}
    for gate in (poller.heartbeater._gate, *poller.settler._gates.values()):
        gate.quiet_until, gate.failures = 0.0, min(1, gate.failures)
    for link in poller.dispatcher.links.values():
        link.slot.runs, link.slot.ring = (), ()


def _keep(line: deque[Delivery], kept: list[Delivery]) -> None:
    """What is over and done with would be dropped when it is met; met or not, it decides nothing."""
    if len(kept) < len(line):
        line.clear()
        line.extend(kept)


def _balance(ledger: Ledger) -> None:
    """The conservation equation; then the counts begin anew, with what is held as received."""
    counts = ledger.counts
    held = len(ledger.deliveries) - ledger.lost_held
    out = counts["deleted"] + counts["released"] + counts["dead_lettered"] + counts["lost"]
    if counts["received"] != out + held:
        raise Violation(f"conservation: {counts['received']} received, {out} left and {held} held")
    places = {lease.place for lease in ledger.table.records()}
    if places != {one.place for one in ledger.deliveries.values()}:
        raise Violation("the lease table tells another story than the ledger")
    ready = sum(one.state is State.READY for one in ledger.deliveries.values())
    if ledger.line.count != ready:
        raise Violation(f"the line counts {ledger.line.count} ready deliveries, there are {ready}")
    for name in counts:
        counts[name] = 0
    counts["received"] = held
