"""Pure rules: what the broker's log says became of every message and of every delivery of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

#: Effects of the fault plan after which a client does not have what a receive assigned, or later than usual.
_LOSING = {"error", "unavailable", "html", "drop", "black_hole", "trickle", "delay", "mangle"}
_KEEPING = ("ChangeMessageVisibility", "ChangeMessageVisibilityBatch")


class Ending(StrEnum):
    """How a delivery ended."""

    OPEN = "open"
    DELETED = "deleted"
    RELEASED = "released"  #: by a change of visibility that was no heartbeat
    LAPSED = "lapsed"  #: the lease ran out
    PLANNED = "planned"  #: the lease was ended by the fault plan


@dataclass(slots=True, eq=False)
class Delivery:
    """One receipt of a message; times in nanoseconds."""

    message_id: str
    begin: int
    connection: int
    request: int
    kept: int  #: when the lease was last extended, or began
    beats: int = 0
    end: int = 0
    ending: Ending = Ending.OPEN


@dataclass(slots=True)
class History:
    """Everything the oracle wants of the broker's log."""

    sent: dict[str, int] = field(default_factory=dict)  #: when, by message id
    deliveries: dict[str, list[Delivery]] = field(default_factory=dict)  #: by message id
    deleted: dict[str, int] = field(default_factory=dict)  #: when, by message id
    redriven: set[str] = field(default_factory=set)
    #: Receives, by connection and request, whose answer did not go out ("aborted"), or went wrong by the fault plan.
    unheard: dict[tuple[int, int], str] = field(default_factory=dict)
    tampered: dict[tuple[int, int], str] = field(default_factory=dict)
    missed_beats: list[int] = field(default_factory=list)  #: when the fault plan hit a heartbeat
    hits: Counter[str] = field(default_factory=Counter)  #: requests hit, by effect
    useless_deletes: int = 0  #: with a receipt that had no power any more

    def all_deliveries(self) -> Iterable[Delivery]:
        """Every delivery, by message."""
        for deliveries in self.deliveries.values():
            yield from deliveries


def read(events: Iterable[dict[str, Any]], queue: str, *, visibility: float) -> History:
    """Follow the messages of one queue; `visibility`: the seconds that a heartbeat asks for."""
    history = History()
    for event in events:
        kind = event["event"]
        if kind == "response":
            if event["outcome"] != "sent":
                history.unheard[event["connection"], event["request"]] = event["outcome"]
        elif kind == "fault":
            _fault(history, event)
        elif event["queue"] == queue:
            _step(history, event, visibility)
    return history


def _fault(history: History, event: dict[str, Any]) -> None:
    effect = event["effect"]
    history.hits[effect] += 1
    if event["action"] in _KEEPING:
        history.missed_beats.append(event["ns"])
    elif effect in _LOSING:
        history.tampered[event["connection"], event["request"]] = effect


def _step(history: History, event: dict[str, Any], visibility: float) -> None:
    kind, ns, message_id = event["event"], event["ns"], event.get("message_id", "")
    if kind == "send":
        history.sent[message_id] = ns
    elif kind == "assign":
        _assign(history, event)
    elif kind == "redrive":
        history.redriven.add(message_id)
    elif kind == "visibility":
        delivery = _open(history, message_id)
        if delivery is None or event["outcome"] != "done":
            return
        if event["seconds"] == visibility:
            delivery.kept = ns
            delivery.beats += 1
        else:
            delivery.end, delivery.ending = ns, Ending.RELEASED
    elif kind == "expire":
        # A released message that was hidden for a while expires too: its delivery had ended by then.
        delivery = _open(history, message_id)
        if delivery is not None:
            delivery.end, delivery.ending = ns, Ending.PLANNED if event.get("fault") else Ending.LAPSED
    elif kind == "delete":
        if event["outcome"] != "done":
            history.useless_deletes += 1
            return
        history.deleted[message_id] = ns
        delivery = _open(history, message_id)
        if delivery is not None:
            delivery.end, delivery.ending = ns, Ending.DELETED


def _assign(history: History, event: dict[str, Any]) -> None:
    message_id, ns = event["message_id"], event["ns"]
    deliveries = history.deliveries.setdefault(message_id, [])
    current = deliveries[-1] if deliveries else None
    if current is not None and current.ending is Ending.OPEN:
        # The same receive attempt asked again (FIFO): the same receipt, and what came of its answer counts from now.
        current.kept = current.begin = ns
        current.connection, current.request = event["connection"], event["request"]
        return
    deliveries.append(Delivery(message_id, ns, event["connection"], event["request"], ns))


def _open(history: History, message_id: str) -> Delivery | None:
    deliveries = history.deliveries.get(message_id)
    return deliveries[-1] if deliveries and deliveries[-1].ending is Ending.OPEN else None
