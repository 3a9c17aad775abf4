"""Test process: a handler process: the shipped end of its stream, its slot, and what its loop does with both."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import wraps
from typing import NamedTuple

from tests.model.doubles import Sent, Wire
from tests.model.states import States
from worker.handler.stream import Stream
from worker.message import Kind, Message
from worker.protocol import Outcome, Parcel
from worker.slots import HandlerSlot, Running, Written


@dataclass(slots=True, eq=False)
class Handler:
    """One handler process that runs one message at a time."""

    stream: Stream
    slot: HandlerSlot  #: it outlives the process


class Shown(NamedTuple):
    """What the world sees of a handler."""

    inbox: tuple[tuple[int, int], ...]  #: message and sequence, not started
    running: tuple[int, int] | None  #: the same, started
    ring: tuple[Written, ...]
    slot: tuple[int, ...]  #: sequences that its slot says are running
    seqs: frozenset[int]  #: all that it may still run or tell
    messages: frozenset[int]
    order: tuple[object, ...]  #: by which handlers are told apart


def states() -> States:
    """The states of handlers."""
    return States(
        shared=(Parcel, Outcome, Written),
        ignored={Message: {"deadline", "clock", "move_deadline", "latest", "attributes"}},
        copiers={HandlerSlot: lambda slot, _: _slot(slot.outcomes(), slot.running())},
        tellers={
            HandlerSlot: lambda slot, _: (*slot.outcomes(), *slot.running()),
            Parcel: lambda parcel, _: (parcel.seq, parcel.id, parcel.attempt),
            Outcome: lambda outcome, _: (outcome.seq, outcome.kind, outcome.attempt, outcome.body),
        },
    )


def fresh() -> Handler:
    """A process that has just booted."""
    return Handler(Stream(), _slot((), ()))


def _slot(ring: Iterable[Written], running: Iterable[Running]) -> HandlerSlot:
    slot = HandlerSlot(bytearray(HandlerSlot.size(1)), 1)
    for one in ring:
        slot.finish(0, **one._asdict())
    for entry in running:
        slot.start(0, entry.seq, now=0.0, deadline=0.0)
    return slot


def shown(handler: Handler) -> Shown:
    """What the world sees."""
    stream = handler.stream
    inbox = tuple((int(parcel.body), parcel.seq) for parcel in stream.inbox)
    running = next(((int(parcel.body), parcel.seq) for parcel in stream.running.values()), None)
    own = (*inbox, running) if running else inbox
    slot = handler.slot
    ring = tuple(slot.outcomes())
    return Shown(
        inbox,
        running,
        ring=ring,
        slot=tuple(one.seq for one in slot.running()),
        seqs=frozenset(seq for _, seq in own),
        messages=frozenset(message for message, _ in own),
        order=(inbox, running or (), ring),
    )


def _step(happen: Callable[..., None]) -> Callable[..., tuple[Sent, ...]]:
    """What happens; gives the frames that it sent."""

    @wraps(happen)
    def step(handler: Handler, *args: object) -> tuple[Sent, ...]:
        happen(handler, *args)
        channel = handler.stream.channel
        return () if channel is None else channel.taken()

    return step


@_step
def attach(handler: Handler) -> None:
    """The supervisor connects it with its poller, or with that one's successor."""
    handler.stream.attach(Wire())


@_step
def detach(handler: Handler) -> None:
    """Its poller is dead; it has noticed."""
    handler.stream.close()


@_step
def hear(handler: Handler, frames: tuple[Sent, ...]) -> None:
    """Frames have arrived."""
    handler.stream.channel.arrived += frames
    handler.stream.hear()


@_step
def start(handler: Handler) -> None:
    """The handler function starts on the oldest message; the slot names it first."""
    stream = handler.stream
    parcel = stream.inbox.popleft()
    stream.running[0] = parcel
    stream.started[parcel.seq] = Message(id=parcel.id, body=parcel.body, queue="work")
    handler.slot.start(0, parcel.seq, now=0.0, deadline=0.0)


@_step
def finish(handler: Handler, kind: Kind, tell: bool) -> None:
    """The handler function ended: its outcome goes into the ring, then (if it lives on: `tell`) to the poller."""
    stream = handler.stream
    parcel = stream.running.pop(0)
    del stream.started[parcel.seq]
    after = -1.0 if kind is Kind.RETRY else 0.0
    handler.slot.finish(0, parcel.seq, kind=kind, after=after, attempt=parcel.attempt)
    if not tell:
        return
    if kind is Kind.ACK:
        stream.acks.append(parcel.seq)
    else:
        body = parcel.body if kind is Kind.REJECT else b"f" + parcel.body
        queue = "elsewhere" if kind is Kind.FORWARD else ""
        stream.tell(Outcome(parcel.seq, kind, queue=queue, body=body, attempt=parcel.attempt))
    stream.flush()


@_step
def renumber(handler: Handler, seqs: tuple[int, ...]) -> None:
    """No event: sequences are told as 1, 2, ... as the poller's are; what it remembers of others decides nothing."""
    stream, new = handler.stream, {seq: place for place, seq in enumerate(seqs, 1)}
    for place, parcel in stream.running.items():
        stream.running[place] = parcel._replace(seq=new[parcel.seq])
    stream.inbox = type(stream.inbox)(parcel._replace(seq=new[parcel.seq]) for parcel in stream.inbox)
    stream.started = {new[seq]: message for seq, message in stream.started.items()}
    stream.acks = [new[seq] for seq in stream.acks if seq in new]
    stream._others = _renumbered(stream._others, new)
    stream._unconfirmed = {new[seq]: one for seq, one in stream._unconfirmed.items() if seq in new}
    stream._unconfirmed = {seq: replace(one, seq=seq) for seq, one in stream._unconfirmed.items()}
    told = (([new[seq] for seq in acks if seq in new], _renumbered(others, new)) for acks, others in stream._told)
    stream._told = type(stream._told)(one for one in told if any(one))
    stream._told_count = sum(len(acks) + len(others) for acks, others in stream._told)
    handler.slot = _slot(
        (one._replace(seq=new[one.seq]) for one in handler.slot.outcomes() if one.seq in new),
        (one._replace(seq=new[one.seq]) for one in handler.slot.running()),
    )


def _renumbered(outcomes: list[Outcome], new: dict[int, int]) -> list[Outcome]:
    return [replace(one, seq=new[one.seq]) for one in outcomes if one.seq in new]
