"""Test process: SQS in miniature: where each message is, and what a request makes of it. Pure functions on tuples.

The rules are those of the strict server (`worker.testing.sqs_server.receipt_rules`, `fifo`), without time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import product
from typing import NamedTuple

from worker.policy.failures import FailureKind


class Place(StrEnum):
    """Where a message is."""

    VISIBLE = "visible"
    IN_FLIGHT = "in flight"
    HIDDEN = "hidden"  #: in flight too, for as long as a retry asked: nobody holds it
    DELETED = "deleted"
    REDRIVEN = "redriven"  #: SQS moved it to the dead-letter queue: its receives were used up


class Stored(NamedTuple):
    """One message in the queue."""

    place: Place = Place.VISIBLE
    receipt: int = 0  #: of the last receive
    receives: int = 0  #: counted only where the queue has a maxReceiveCount
    arrived: bool = False  #: the answer with that receipt has reached a poller of ours


Queue = tuple[Stored, ...]

OUT_OF_SIGHT = (Place.IN_FLIGHT, Place.HIDDEN)
GONE = (Place.DELETED, Place.REDRIVEN)


def receipt_name(message: int, number: int) -> str:
    """A receipt handle."""
    return f"m{message}.{number}"


def put(queue: Queue, message: int, stored: Stored) -> Queue:
    """The queue with one message changed."""
    return (*queue[:message], stored, *queue[message + 1 :])


def is_current(queue: Queue, receipt: str) -> bool:
    """Whether a receipt is the message's newest."""
    message, number = split(receipt)
    return queue[message].receipt == number


def split(receipt: str) -> tuple[int, int]:
    """The message and the number of a receipt handle."""
    message, _, number = receipt.partition(".")
    return int(message[1:]), int(number)


def deliverable(queue: Queue, groups: Sequence[str], *, fifo: bool) -> Iterator[tuple[int, ...]]:
    """What one receive may bring: on a FIFO queue the first of a group up to one that is out of sight."""
    if not fifo:
        visible = [message for message, stored in enumerate(queue) if stored.place is Place.VISIBLE]
        for chosen in product((True, False), repeat=len(visible)):
            if any(chosen):
                yield tuple(message for message, taken in zip(visible, chosen, strict=True) if taken)
        return
    heads: list[list[int]] = []
    for group in sorted(set(groups)):
        members = [message for message, name in enumerate(groups) if name == group]
        left = [message for message in members if queue[message].place not in GONE]
        hidden = next((place for place, one in enumerate(left) if queue[one].place is not Place.VISIBLE), len(left))
        heads.append(left[:hidden])
    for lengths in product(*(range(len(one) + 1) for one in heads)):
        if any(lengths):
            yield tuple(sorted(message for one, most in zip(heads, lengths, strict=True) for message in one[:most]))


def receive(queue: Queue, message: int, number: int, *, redrive: int) -> Queue:
    """A receive takes a message, or the last one too many moves it to the dead-letter queue."""
    stored = queue[message]
    if redrive and stored.receives >= redrive:
        return put(queue, message, stored._replace(place=Place.REDRIVEN))
    return put(queue, message, Stored(Place.IN_FLIGHT, number, stored.receives + bool(redrive)))


def delete(queue: Queue, receipt: str, *, fifo: bool) -> tuple[Queue, FailureKind | None]:
    """A standard queue ignores an old receipt and says that all is well; a FIFO queue refuses that, and a late one."""
    message, _ = split(receipt)
    stored = queue[message]
    if stored.place in GONE:
        return queue, None
    fits = is_current(queue, receipt)
    if fifo and not (fits and stored.place in OUT_OF_SIGHT):
        return queue, FailureKind.LEASE
    return put(queue, message, stored._replace(place=Place.DELETED)) if fits else queue, None


def change(queue: Queue, receipt: str, seconds: int, *, fifo: bool, beat: bool) -> tuple[Queue, FailureKind | None]:
    """Hide a message for `seconds`. A standard queue lets an older receipt do it, and says nothing if it is visible."""
    message, _ = split(receipt)
    stored = queue[message]
    if stored.place in GONE:
        return queue, FailureKind.INVALID
    if fifo and not (is_current(queue, receipt) and stored.place in OUT_OF_SIGHT):
        return queue, FailureKind.LEASE
    if beat or stored.place not in OUT_OF_SIGHT:
        return queue, None
    return put(queue, message, stored._replace(place=Place.HIDDEN if seconds else Place.VISIBLE)), None


def holds(queue: Queue, receipt: str) -> bool:
    """Whether the message is in flight by this very receipt."""
    message, _ = split(receipt)
    return is_current(queue, receipt) and queue[message].place is Place.IN_FLIGHT
