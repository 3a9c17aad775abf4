"""Every process: the frames that supervisor, pollers, handlers and templates exchange, by stream and by control socket.

Stream, poller to handler:    MESSAGES, RECALL, LOST, CONFIRM
Stream, handler to poller:    HELLO, OUTCOMES, RETURNED
Control, supervisor to child: SETUP, ATTACH, DIED, DETACH, DRAIN, STOP, PAUSE, RESUME, FORK
Control, child to supervisor: READY, ATTACHED, DETACHED, OVERDUE, DRAINED, FAILED, FORKED, NOT_FORKED
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

from worker.channel import Channel, Frame
from worker.message import Kind


class StreamFrame(IntEnum):
    """Frames between one poller and one handler."""

    MESSAGES = (
        1  #: header [[seq, attempt, expires, id, attributes, message attributes, body length], ...], blob: bodies
    )
    RECALL = 2  #: null: give back what has not started
    LOST = 3  #: [seq, ...]: the leases are lost
    CONFIRM = 4  #: [seq, ...]: rejects and forwards that are settled; their outcomes need not be told again
    HELLO = 5  #: {"running": [seq, ...], "unstarted": [seq, ...]}, followed by OUTCOMES with all that is unconfirmed
    OUTCOMES = 6  #: {"acks": [seq, ...], "others": [[seq, kind, ...], ...]}, blob: bodies of forwards
    RETURNED = 7  #: [seq, ...]: the answer to RECALL


class ControlFrame(IntEnum):
    """Frames between the supervisor and one child."""

    SETUP = 32  #: the first frame; header depends on the child
    ATTACH = 33  #: to both sides of a new stream; fds: the stream, and for a poller the handler's slot
    DIED = 34  #: to a poller: a handler is dead, reaped, and its process group with it
    DETACH = 35  #: to a poller: give this handler nothing more; answer DETACHED when it holds nothing
    DRAIN = 36  #: to a poller: {"deadline": seconds}; answer DRAINED
    STOP = 37  #: to a handler: finish what runs, then exit 0; to a template: exit 0
    PAUSE = 38  #: to a poller: no new receives
    RESUME = 39
    FORK = 40  #: to a template: {"uid": uid}; fds: the control socket of the handler to fork
    READY = 64  #: {"protocol": PROTOCOL}: booted; a poller: and polling
    ATTACHED = 65  #: {"link": number}: the stream has arrived; the sender may close its copies
    DETACHED = 66  #: {"handler": uid}
    OVERDUE = 67  #: {"handler": uid, "seq": seq, "lease": whether that ends}: past its deadline; kill the handler
    DRAINED = 68  #: {"unconfirmed": count}: settled all that could be; the poller exits next
    FAILED = 69  #: {"reason": text}: cannot boot; the child exits next
    FORKED = 70  #: {"uid": uid, "pid": pid}: the handler is the supervisor's child, and waits for its SETUP
    NOT_FORKED = 71  #: {"uid": uid, "reason": text}: the system had no process to give


class Parcel(NamedTuple):
    """A message on its way to a handler. (A frozen dataclass would cost 0.4 us more to make, of 5 us in all.)"""

    seq: int
    attempt: int
    expires: float  #: 12 hours from the receive, platform.now()
    id: str
    attributes: Mapping[str, str]
    message_attributes: Mapping[str, Mapping[str, str]]  #: as SQS's JSON has them: BinaryValue is base64
    body: bytes


def send_messages(channel: Channel, parcels: Sequence[Parcel]) -> None:
    """One MESSAGES frame."""
    header = [(p.seq, p.attempt, p.expires, p.id, p.attributes, p.message_attributes, len(p.body)) for p in parcels]
    channel.send(StreamFrame.MESSAGES, header, [p.body for p in parcels])


def read_messages(frame: Frame) -> list[Parcel]:
    """The parcels of a MESSAGES frame."""
    parcels, position = [], 0
    for seq, attempt, expires, message_id, attributes, message_attributes, length in frame.header:
        body = frame.blob[position : position + length]
        parcels.append(Parcel(seq, attempt, expires, message_id, attributes, message_attributes, body))
        position += length
    return parcels


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one message, as a handler tells it to its poller."""

    seq: int
    kind: Kind
    after: float | None = None  #: RETRY: seconds, None for the queue's backoff
    reason: str = ""  #: RETRY and REJECT: for logs and the dead-letter queue
    queue: str = ""  #: FORWARD: URL or name
    body: bytes = b""
    attributes: Mapping[str, Mapping[str, str]] | None = None  #: FORWARD: as SQS's JSON wants them
    group_id: str | None = None
    deduplication_id: str | None = None
    delay: int | None = None
    attempt: int = 0  #: the start that it ends: of a message retried in the pool, an older one may be told once more


def send_outcomes(channel: Channel, acks: Sequence[int], others: Sequence[Outcome]) -> None:
    """One OUTCOMES frame; acks are most of all outcomes, so they travel as bare numbers."""
    header: dict[str, Any] = {"acks": acks}
    if others:
        header["others"] = [
            (
                o.seq,
                o.kind,
                o.after,
                o.reason,
                o.queue,
                len(o.body),
                o.attributes,
                o.group_id,
                o.deduplication_id,
                o.delay,
                o.attempt,
            )
            for o in others
        ]
    channel.send(StreamFrame.OUTCOMES, header, [o.body for o in others])


def read_outcomes(frame: Frame) -> tuple[list[int], list[Outcome]]:
    """The acks' sequences, and the other outcomes, of an OUTCOMES frame."""
    others, position = [], 0
    for seq, kind, after, reason, queue, length, *rest in frame.header.get("others", ()):
        body = frame.blob[position : position + length]
        others.append(Outcome(seq, Kind(kind), after, reason, queue, body, *rest))
        position += length
    return frame.header["acks"], others
