"""Test process: what stands in for sockets, a handler's shared memory and calls to SQS, under the shipped code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from worker.channel import Frame
from worker.policy.requests import BATCH, Delete, Hide, Receive, Request
from worker.slots import ChildState, HandlerFacts, Running, Written


class Violation(Exception):
    """Something that must hold does not; the text says what."""


class Sent(NamedTuple):
    """A frame on its way, as the wire has it: two frames that read the same are equal."""

    kind: int
    header: bytes
    blob: bytes


class Wire:
    """One end of a stream: the model carries its frames to the other end."""

    def __init__(self) -> None:
        self.arrived: list[Sent] = []
        self.sent: list[Sent] = []
        self.closed = False
        self.pending = 0

    def send(self, kind: int, header: Any, blobs: Sequence[bytes] = ()) -> None:
        if not self.closed:
            self.sent.append(Sent(int(kind), orjson.dumps(header), b"".join(blobs)))

    def receive(self) -> list[Frame]:
        frames = [Frame(sent.kind, orjson.loads(sent.header), sent.blob) for sent in self.arrived]
        self.arrived = []
        return frames

    def flush(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True

    def taken(self) -> tuple[Sent, ...]:
        """What was sent since the last look."""
        sent, self.sent = tuple(self.sent), []
        return sent


class Slot:
    """A handler's slot: what it runs, and the ring of its outcomes. Its own process writes it, the poller reads it."""

    def __init__(self) -> None:
        self.concurrency = 1
        self.runs: tuple[int, ...] = ()
        self.ring: tuple[Written, ...] = ()

    def running(self) -> list[Running]:
        return [Running(seq, 0.0, float("inf")) for seq in self.runs]

    def outcomes(self) -> list[Written]:
        return list(self.ring)

    def look(self) -> HandlerFacts:
        return HandlerFacts(pid=1, state=ChildState.READY, done=0, failed=0, busy=0.0, resident=0, progress=0.0)


class Call(NamedTuple):
    """A request on its way, and what its actor wants back with the answer."""

    request: Request
    token: object


class Port:
    """The port to SQS. What is started is a request on its way till the model answers it."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.receiving = 0  #: the model keeps it: long polls on their way

    @property
    def settling(self) -> int:
        return len(self.calls)

    def start(self, request: Request, token: object) -> None:
        """Raises Violation if two calls with one receipt are on their way, or if SQS would refuse the request."""
        receipts, ids = receipts_of(request), entry_ids(request)
        if len(set(ids)) != len(ids) or len(ids) > BATCH:
            raise Violation(f"SQS refuses the whole batch: its entry ids are {ids}")
        on_their_way = [receipt for call in self.calls for receipt in receipts_of(call.request)]
        if twice := {one for one in receipts if (*receipts, *on_their_way).count(one) > 1}:
            raise Violation(f"two calls with one receipt are on their way: {sorted(twice)}")
        self.calls.append(Call(request, token))


def entry_ids(request: Request) -> list[str]:
    """The ids of a batch's entries, as the shipped calls make them: positions."""
    entries = receipts_of(request) or getattr(request, "entries", ())
    return [str(place) for place, _ in enumerate(entries)]


def receipts_of(request: Request) -> tuple[str, ...]:
    """The receipts that a request names; a send or a receive names none."""
    if isinstance(request, Delete):
        return request.receipts
    if isinstance(request, Hide):
        return tuple(receipt for receipt, _ in request.entries)
    assert not isinstance(request, Receive), "the model plays the receiver"
    return ()


class Silent:
    """A log or a health record that nobody reads."""

    def __getattr__(self, name: str) -> Any:
        return _nothing


def _nothing(*_args: object, **_fields: object) -> None:
    pass
