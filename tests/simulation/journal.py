"""Test process: what the network and the lease tables of a world saw of each receipt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

#: Seconds in which a poller notices that a lease has run out.
NOTICED = 1.0


@dataclass(frozen=True, slots=True)
class Release:
    """A call that gives a message back has left."""

    at: float
    connection: int


@dataclass(slots=True)
class Journal:
    """What the network saw: a sequence and the number of a receive name a receipt, as in the server's events."""

    clock: Callable[[], float]
    known: dict[str, float] = field(default_factory=dict)  #: till when pollers knew that they had it
    came: dict[str, float] = field(default_factory=dict)  #: the same by the receive alone, without heartbeats
    owned: dict[str, float] = field(default_factory=dict)  #: when they were written into a lease table
    hidden: dict[str, float] = field(default_factory=dict)  #: when they were given back first
    releases: dict[str, list[Release]] = field(default_factory=dict)  #: the calls that gave them back

    def leased(self, receipt: str, until: float) -> None:
        """A poller has read that it has this message until then: a receive's answer, or a heartbeat's."""
        name = label(receipt)
        self.came.setdefault(name, until)
        known = self.known.setdefault(name, until)
        if known + NOTICED > self.clock():  # else it has given up, and stays with that
            self.known[name] = max(until, known)

    def recorded(self, receipt: str) -> None:
        """A poller has written it into its lease table: from here on somebody knows of it."""
        self.owned.setdefault(label(receipt), self.clock())

    def released(self, receipt: str, connection: int) -> None:
        """A poller asks to have a message shown again, now or later; no heartbeat."""
        self.hid(receipt)
        self.releases.setdefault(label(receipt), []).append(Release(self.clock(), connection))

    def hid(self, receipt: str) -> None:
        """A poller gives a message back, or has written down that it does; no heartbeat."""
        self.hidden.setdefault(label(receipt), self.clock())


def label(receipt: str) -> str:
    """A receipt as the server's event log names it."""
    both = int(receipt[-24:], 16)
    return f"{both >> 32}.{both & 0xFFFF_FFFF}"
