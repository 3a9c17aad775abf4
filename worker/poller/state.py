"""Poller process: what its actors share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from worker.channel import Channel
from worker.leases import LeaseTable
from worker.policy.health import Health
from worker.policy.ledger import Ledger
from worker.policy.pace import Pace
from worker.policy.requests import Sqs
from worker.poller.bookkeeper import Bookkeeper
from worker.settings import QueueSettings
from worker.telemetry import COUNTERS, Log


@dataclass(slots=True, kw_only=True)
class PollerState:
    """Handed to every actor; the ledger in it is the only record of what we hold."""

    queue: QueueSettings
    ledger: Ledger
    table: LeaseTable
    sqs: Sqs
    control: Channel  #: to the supervisor
    log: Log
    chance: Callable[[], float]  #: draws from 0 to 1
    token: Callable[[], str]  #: draws a name that was never used
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTERS, 0))
    health: Health = field(default_factory=Health)
    beats_fail: bool = False  #: heartbeats of leases that we hold do not get through
    pace: Pace = field(default_factory=Pace)
    most_polls: int = 64  #: receives on their way at most, whatever the queue's settings allow: what the client can do
    most_calls: int = 8  #: the same of settlement calls
    cpu: Callable[[], float] = field(default=lambda: 0.0)  #: seconds of CPU that the process has used
    book: Bookkeeper | None = None  #: where the queue's table asks for metrics or lines of deletes
    until_empty: bool = False  #: the pool ends when its queues are empty
    hidden_until: float = 0.0  #: then: when the last message that was given back, hidden, comes again
    paused: bool = False
    draining: bool = False
    release_from: float = 0.0  #: while long polls are on their way, nothing is released before
    received_at: float = 0.0  #: when the last receive was answered
    quiet_until: float = 0.0  #: no receive is due before

    @property
    def fifo(self) -> bool:
        """Whether the queue is FIFO."""
        return self.ledger.rules.fifo
