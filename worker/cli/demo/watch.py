"""Command line: watches pool and broker for `worker demo`, until every queue is empty and every figure is in."""

from __future__ import annotations

import time
from collections.abc import Mapping

from worker.cli.demo.balance import Balance, totals
from worker.cli.demo.moments import Meter, Moment
from worker.cli.demo.views import View
from worker.cli.pool_process import PoolProcess
from worker.testing.demonstration import Demonstration
from worker.testing.sqs_server.process import SqsServerProcess

#: Seconds between two looks.
_PERIOD = 0.25
#: Seconds without a message that is finished, after which a demonstration is drained anyway.
_PATIENCE = 45.0
#: The same in all: handlers that send each other messages could go on for ever.
_LONGEST = 600.0
#: Seconds after the queues are empty in which the pool's own counters must agree; pollers publish every 5 s or sooner.
_SETTLING = 7.0


class Watch:
    """Looks at a pool and at its broker from now on."""

    def __init__(
        self, plan: Demonstration, server: SqsServerProcess, *, pool: PoolProcess, socket: str, sent: int
    ) -> None:
        self._sources = frozenset(queue.name for queue in plan.queues if queue.source)
        dead_letters = frozenset(queue.dead_letter for queue in plan.queues if queue.dead_letter)
        self._dead_letters = dead_letters - self._sources
        self._server, self._pool, self._socket, self._sent = server, pool, socket, sent
        self._began = time.monotonic()
        self._meter = Meter()
        self._last = Moment(seconds=0.0, sent=sent)
        self._first_at = self._done_at = self._peak = 0.0

    def until_drained(self, view: View) -> tuple[str, ...]:
        """Returns when every source queue is empty and the pool holds nothing; or with what kept it from that."""
        arrived = self._entered(self._traffic())
        if arrived != self._sent:
            return (f"{self._sent:,} messages were sent, but the queues got {arrived:,}",)
        while True:
            time.sleep(_PERIOD)  # the pace of the picture; what is waited for is looked at
            moment = self._look()
            view.look(moment)
            if self._pool.code is not None:
                return ("the pool ended by itself",)
            quiet = moment.seconds - self._done_at
            if moment.seconds > _LONGEST:
                return (f"not at its end after {_LONGEST:g} s",)
            if moment.finished < moment.sent:
                if quiet > _PATIENCE:
                    return (f"no message was finished for {_PATIENCE:g} s",)
            elif self._agrees(moment) or quiet > _SETTLING:
                return ()

    def balance(self, application: str, *, handlers: int, exit_code: int | None, reasons: tuple[str, ...]) -> Balance:
        """The figures at the end; the broker is asked once more, now that the pool is gone."""
        traffic = self._traffic()
        return Balance(
            application=application,
            sent=self._sent,
            entered=self._entered(traffic),
            counters=self._last.counters,
            depths=_depths(traffic),
            sources=self._sources,
            dead_letters=self._dead_letters,
            seconds=self._done_at - self._first_at,
            peak=self._peak,
            handlers=handlers,
            exit_code=exit_code,
            reasons=reasons,
        )

    def _agrees(self, moment: Moment) -> bool:
        """True once the pool's counters tell of every message too: they follow what has happened."""
        count = moment.counters.get
        return not count("in_flight", 0) and count("deleted", 0) + moment.buried == moment.sent

    def _look(self) -> Moment:
        now = time.monotonic() - self._began
        before = self._last
        status = self._pool.status(self._socket)
        counters = totals(status) if status else before.counters
        traffic = self._traffic()
        depths = _depths(traffic)
        # What handlers sent counts too. The broker's own figures: the pool's are up to 5 s behind on an empty queue.
        sent = max(self._sent, self._entered(traffic) - counters.get("dead_lettered", 0))
        finished = sent - sum(depths.get(name, 0) for name in self._sources)
        if finished and not before.finished:
            self._first_at = before.seconds
        if finished > before.finished:
            self._done_at = now
        rate = self._meter.rate(now, finished)
        self._peak = max(self._peak, rate)
        self._last = Moment(
            seconds=now,
            sent=sent,
            status=status,
            counters=counters,
            depths=depths,
            finished=finished,
            buried=sum(depths.get(name, 0) for name in self._dead_letters),
            rate=rate,
        )
        return self._last

    def _traffic(self) -> dict[str, dict[str, int]]:
        return self._server.traffic()

    def _entered(self, traffic: Mapping[str, Mapping[str, int]]) -> int:
        """Messages that were sent to sources and dead-letter queues, by whomever."""
        return sum(traffic[name]["sent"] for name in self._sources | self._dead_letters)


def _depths(traffic: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Messages in each queue, whatever hides them."""
    return {name: counts["ready"] + counts["in_flight"] + counts["delayed"] for name, counts in traffic.items()}
