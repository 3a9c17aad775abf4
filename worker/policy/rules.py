"""Pure rules: what a ledger goes by, where it is written down for a successor, and what it counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from worker.policy.delivery import Delivery
from worker.settings import RetrySettings

#: What the ledger counts; the rest of telemetry.COUNTERS is the actors'.
COUNTED = (
    *("received", "deleted", "released", "dead_lettered", "lost", "forwarded", "retried", "rejected", "repeated"),
    *("parked", "late", "crashed", "attempts", "beats", "received_bytes"),
)


class Table(Protocol):
    """Where the ledger is written down for a successor (the lease table in shared memory)."""

    @property
    def free(self) -> int: ...
    def add(
        self,
        *,
        seq: int,
        message_id: str,
        receipt: str,
        group: str,
        lease_end: float,
        received_at: float,
        attempts: int,
    ) -> int: ...
    def dispatch(self, place: int, handler: int) -> None: ...
    def ready(self, place: int, *, attempts: int, crashes: int) -> None: ...
    def settle(self, place: int, kind: int) -> None: ...
    def extend(self, place: int, lease_end: float) -> None: ...
    def remove(self, place: int) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the ledger goes by; one queue's."""

    fifo: bool
    visibility: float  #: seconds
    retry: RetrySettings
    dead_letter: str = ""  #: URL; nothing: then nothing is ever rejected for good
    attempts: int = 5  #: FIFO: a retry at this attempt is a reject


@dataclass(frozen=True, slots=True)
class Event:
    """Something for the log about one delivery."""

    name: str
    delivery: Delivery
    why: str
