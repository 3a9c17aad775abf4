"""Command line: the figures at the end of `worker demo`, and whether they balance. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from worker.cli.quantities import rate, span

#: Counters of deliveries that are over, and what is still held.
ENDINGS = ("deleted", "released", "dead_lettered", "lost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What was sent, what the pool counted, and what the broker holds afterwards."""

    application: str
    sent: int
    entered: int  #: messages sent to sources and dead-letter queues by anybody, as the broker says; no redrives
    counters: Mapping[str, int]  #: telemetry.COUNTERS, summed over all queues
    depths: Mapping[str, int]  #: messages in each queue at the end, as the broker says
    sources: frozenset[str]  #: the queues that had to become empty
    dead_letters: frozenset[str]  #: dead-letter queues that nothing takes from
    seconds: float  #: from the first receive to the last settlement, the retries of broken messages included
    peak: float  #: messages settled for good a second, in the best few seconds
    handlers: int
    exit_code: int | None  #: of the pool; None: it had to be killed
    reasons: tuple[str, ...] = field(default=())  #: what went wrong on the way
    counts: Mapping[str, int] = field(default_factory=dict)  #: what the application found in its table, zone, file

    @property
    def left(self) -> int:
        """Deliveries that the pool still held."""
        return self.counters.get("in_flight", 0)

    @property
    def buried(self) -> int:
        """Messages that ended in a dead-letter queue, by a reject or by SQS's own redrive."""
        return sum(count for name, count in self.depths.items() if name in self.dead_letters)

    @property
    def remaining(self) -> int:
        """Messages that are still in a source queue."""
        return sum(count for name, count in self.depths.items() if name in self.sources)

    @property
    def handled(self) -> int:
        """Messages that were handled and deleted."""
        return self.counters.get("deleted", 0)

    @property
    def sent_on(self) -> int:
        """Messages that handlers sent to queues of the application: all that entered but ours, and but the rejects."""
        return max(0, self.entered - self.sent - self.counters.get("dead_lettered", 0))

    def with_verdict(self, counts: Mapping[str, int], faults: Sequence[str]) -> Self:
        """The same with the application's own counts, and what it finds wrong with them."""
        return replace(self, counts=counts, reasons=(*self.reasons, *faults))

    def faults(self) -> list[str]:
        """Everything that keeps this from being a success, a line each."""
        found = list(self.reasons)
        received, over = self.counters.get("received", 0), sum(self.counters.get(name, 0) for name in ENDINGS)
        if received != over + self.left:
            found.append(f"deliveries do not balance: {received:,} received, but {over:,} over and {self.left:,} held")
        if self.sent + self.sent_on != self.handled + self.buried + self.remaining:
            on = f" and {self.sent_on:,} sent on by handlers" if self.sent_on else ""
            found.append(
                f"messages do not balance: {self.sent:,} sent{on}, but {self.handled:,} handled, {self.buried:,} in "
                f"dead-letter queues and {self.remaining:,} left"
            )
        if self.counters.get("lost", 0):
            found.append(f"{self.counters['lost']:,} leases were lost")
        if self.remaining or self.left:
            found.append(f"not drained: {self.remaining:,} messages in the queues, {self.left:,} in flight")
        if self.exit_code != 0:
            found.append(f"the pool ended with exit code {self.exit_code}")
        return found

    def lines(self) -> list[str]:
        """The summary, for people."""
        count = self.counters.get
        on = f" + {self.sent_on:,} sent on by handlers" if self.sent_on else ""
        deliveries = " + ".join(f"{count(name, 0):,} {name.replace('_', '-')}" for name in ENDINGS)
        lines = [
            f"{self.application}: {self.sent:,} messages in {span(self.seconds)}, {rate(self.peak)} at best, "
            f"by {self.handlers} handlers",
            f"deliveries: {count('received', 0):,} received = {deliveries} + {self.left:,} left",
            f"messages:   {self.sent:,} sent{on} = {self.handled:,} handled + {self.buried:,} in dead-letter queues + "
            f"{self.remaining:,} left",
        ]
        lines += [f"            {depth:,} now in {name}" for name, depth in sorted(self.depths.items()) if depth]
        lines += [
            f"{'' if place else 'counts:':11} {value:,} {name.replace('_', ' ')}"
            for place, (name, value) in enumerate(self.counts.items())
        ]
        return lines if self.faults() else [*lines, "the numbers balance, and the pool stopped cleanly"]

    def to_json(self) -> dict[str, Any]:
        """The same, for programs."""
        count = self.counters.get
        figures = {name: count(name, 0) for name in ("received", *ENDINGS, "forwarded", "retried", "attempts", "calls")}
        return {
            "application": self.application,
            "sent": self.sent,
            "sent_on": self.sent_on,
            **figures,
            "left": self.left,
            "handled": self.handled,
            "in_dead_letter_queues": self.buried,
            "queues": dict(self.depths),
            "counts": dict(self.counts),
            "handlers": self.handlers,
            "seconds": round(self.seconds, 3),
            "peak_messages_per_second": round(self.peak, 1),
            "exit_code": self.exit_code,
            "balanced": not self.faults(),
            "faults": self.faults(),
        }


def totals(status: Mapping[str, Any]) -> dict[str, int]:
    """The counters of a pool's status, summed over its queues."""
    found: dict[str, int] = {}
    for queue in status["queues"].values():
        for name, value in queue["counters"].items():
            found[name] = found.get(name, 0) + value
    return found
