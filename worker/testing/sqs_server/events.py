"""SQS server process: the append-only event log: what the queues did, in order, on the host's clock.

An oracle reads it beside the logs of producers and handlers. It names messages and receives, never bodies or receipt
handles: `receipt` is "sequence.number", which is unique in its queue and opens nothing.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

import orjson

#: Events kept in memory unless told otherwise: about 300 bytes each.
CAPACITY: Final = 1_000_000


class Sink(Protocol):
    """Where events are also written, as JSON lines."""

    def write(self, data: bytes, /) -> object:
        """Takes one line with its line feed."""


class EventLog:
    """Events in memory, oldest first; numbers run from 1. Beyond `capacity` the oldest go, and are counted.

    `stamp` gives nanoseconds of the host clock that producers and handlers use too (CLOCK_BOOTTIME where there is one);
    without it, in a simulation, they are those of the server's clock.
    """

    def __init__(
        self, stamp: Callable[[], int] | None = None, *, capacity: int = CAPACITY, sink: Sink | None = None
    ) -> None:
        self._stamp = stamp
        self._capacity = capacity
        self._sink = sink
        self._events: list[dict[str, Any]] = []
        self._first = 1

    def record(self, event: str, *, now: float, **fields: Any) -> None:
        """Appends an event; `now` is the server's clock in seconds, `fields` are JSON values."""
        stamp = self._stamp() if self._stamp is not None else int(now * 1e9)
        entry = {"n": self._first + len(self._events), "event": event, "ns": stamp, "now": now, **fields}
        if self._sink is not None:
            self._sink.write(orjson.dumps(entry) + b"\n")
        self._events.append(entry)
        if len(self._events) > self._capacity:
            # A tenth at a time: cutting one by one would move the whole list for each event.
            cut = max(1, self._capacity // 10)
            del self._events[:cut]
            self._first += cut

    @property
    def truncated(self) -> int:
        """Events that were dropped from memory for want of room."""
        return self._first - 1

    def after(self, number: int, *, limit: int = 10_000) -> list[dict[str, Any]]:
        """At most `limit` events with numbers above `number`."""
        start = max(0, number + 1 - self._first)
        return self._events[start : start + limit]
