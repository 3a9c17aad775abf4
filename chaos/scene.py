"""Chaos process: the parts of a run that need processes, in their order."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any

from chaos import plan
from chaos.logs import Drain, stamp
from chaos.naive import NaivePool
from chaos.options import Options
from chaos.pool import ROOT, Setup, WorkerPool, wait_until_gone
from chaos.producer import Order, Sender
from chaos.storm import Storm
from chaos.watch import Watch
from worker.testing.sqs_server.process import SqsServerProcess

#: Seconds without any effect after which a queue counts as one that will not become empty.
_STUCK = 45.0
#: The same for a pool that is expected to fail.
_FAILING = 12.0
#: Ids of messages sent after the storm: those that run long, and those that measure how long one takes.
LONG, PROBES = 1_000_000_000, 2_000_000_000
#: Ids of messages sent while single kills are measured, how many a second, and the seconds between two of the kills.
_SINGLES, _SINGLES_RATE, _APART = 500_000_000, 300.0, 1.4
#: Ids of messages that show that a pool serves.
_SIGNS = 3_000_000_000
PROBE_COUNT = 100
#: Groups of a FIFO queue.
_GROUPS = 64
#: Share of messages whose handler function takes memory until the kernel ends it.
_EATERS = 0.0002
#: Seconds beyond its budget after which a pool that drains is killed, and that its last processes may take to end.
_GRACE = 10.0
#: Seconds, beyond a long poll, between the storm and the first drain; and those that the producer goes on after the
#: storm, so that this drain has something to do.
_CALM, _OVERTIME = 1.5, 4.5
#: How much longer than the visibility timeout a long message runs.
_LONGER = 1.3

#: Told of the part that a run is in, and of what happens in it.
Tell = Callable[[str], None]


@dataclass(slots=True, kw_only=True)
class Scene:
    """A server, a pool, a storm; and what is seen of them."""

    options: Options
    setup: Setup
    server: SqsServerProcess
    pool: WorkerPool | NaivePool
    storm: Storm
    port: int  #: of the server
    queue: str
    tell: Tell
    watch: Watch = field(init=False)
    drains: list[Drain] = field(default_factory=list)
    left: list[int] = field(default_factory=list)  #: processes that outlived the last drain
    storm_seconds: float = 0.0
    storm_effects: int = 0
    busy: float = 0.0  #: mean share of the cores' time during the storm
    producer_code: int = 0
    _patience: float = field(init=False)

    def __post_init__(self) -> None:
        self.watch = Watch(self.setup.effects)
        self._patience = _FAILING if self.options.naive or self.options.mutant else _STUCK

    def play(self) -> None:
        """All parts, in their order."""
        self._start()
        if isinstance(self.pool, WorkerPool):
            if self.options.seconds > 0:
                self._storm()
                self._start()
                self._until_empty("emptying the queue")
            self._singles()
            if self.options.long:
                self._long_messages()
            self._probes()
            self._drain()
        else:
            self._storm()
            self._until_empty("emptying the queue")
            self.pool.drain(_GRACE)

    def _start(self) -> None:
        """Start the pool, and wait until it handles messages."""
        self.pool.start()
        self.watch.expect(_SIGNS)
        self._send(_SIGNS + len(self.drains), [(0, "-")])
        self._until(lambda: _SIGNS + len(self.drains) in self.watch.ended, "the pool starts")

    def _storm(self) -> None:
        options = self.options
        chance = Random(options.seed)  # noqa: S311 - a storm that can be repeated
        without = {"supervisor", "tree", "handler", "squeeze", "reload"} if options.naive else set()
        blows = plan.storm(chance, seconds=options.seconds, kills=options.kills, others=options.others, without=without)
        producer = self._produce(
            seconds=options.seconds + _OVERTIME,
            rate=options.rate,
            messages=options.messages,
            short=options.work,
            **self._mix(),
        )
        try:
            begin = time.monotonic()
            self.storm.run(blows, options.seconds, lambda at: self._tick(f"storm {at:.0f}/{options.seconds:.0f} s"))
            self.storm_seconds = time.monotonic() - begin
            self.storm_effects = self.watch.effects
            loads = self.watch.loads[1:]
            self.busy = sum(load.busy for load in loads) / max(1, len(loads))
            self.storm.calm()
            if isinstance(self.pool, WorkerPool):
                # What goes wrong in this drain shall be its own fault, and no late effect of the storm.
                self._rest("calm", self.setup.wait + _CALM)
                self._drain()
            self.producer_code = producer.wait(60)
        finally:
            producer.kill()
            producer.wait()

    def _produce(self, **order: Any) -> subprocess.Popen[bytes]:
        """A producer process; `order` is what its Order does not have from the options."""
        options = self.options
        whole = Order(
            port=self.port,
            queue=self.queue,
            log=str(options.folder / "producer"),
            seed=options.seed,
            groups=_GROUPS if options.fifo else 0,
            **order,
        )
        command = [sys.executable, "-m", "chaos.producer", json.dumps(asdict(whole))]
        return subprocess.Popen(command, cwd=ROOT)  # noqa: S603 - this interpreter, our own module

    def _mix(self) -> dict[str, float | int]:
        """What the messages of the storm are like."""
        if self.options.naive == "late":
            # Some take longer than the naive loop hides them; the worker has a part of the run for such messages.
            return {"long": 3000, "long_share": 0.003}
        return {"eaters": _EATERS if isinstance(self.pool, WorkerPool) and self.pool.limit.possible else 0.0}

    def _singles(self) -> None:
        """Kills that come one by one, at a load that leaves the cores time: how long is each of them felt?"""
        handlers, pollers = self.options.singles, self.options.singles // 2
        if not handlers:
            return
        seconds = _APART * (handlers + 2 * pollers + 2)
        # Work enough for all handlers, so that a new one gets a message at once.
        work = int(1600 * self.setup.handlers / _SINGLES_RATE)
        producer = self._produce(seconds=seconds, rate=_SINGLES_RATE, first=_SINGLES, short=work, long_share=0.0)
        try:
            blows = plan.singles(handlers=handlers, pollers=pollers, every=_APART)
            self.storm.run(blows, seconds, lambda at: self._tick(f"single kills {at:.0f}/{seconds:.0f} s"))
            self.producer_code = self.producer_code or producer.wait(60)
        finally:
            producer.kill()
            producer.wait()
        self._until_empty("single kills")

    def _tick(self, part: str) -> None:
        if self.watch.look(time.monotonic()):
            struck = self.storm.struck
            kills = sum(count for (kind, _), count in struck.items() if kind == "kill")
            others = struck.total() - kills
            self.tell(f"{part}: {self.watch.effects:,} effects, {kills:,} SIGKILLs, {others:,} other faults")

    def _drain(self) -> None:
        self.tell("draining")
        begin = stamp()
        code = self.pool.drain(self.setup.drain + _GRACE)
        if isinstance(self.pool, WorkerPool):
            # Pollers whose supervisor was killed are still settling what they hold, beside the pool that was drained.
            self.left = wait_until_gone(self.pool, _GRACE)
        self.drains.append(Drain(begin, stamp(), code))

    def _until_empty(self, part: str) -> None:
        """Until the queue is empty, or nothing takes effect any more for so long.

        A depth that shrinks is no sign of life: a pool with a bug can delete for minutes, and handle nothing.
        """
        moved, before = time.monotonic(), -1
        while sum(self.server.queues()[self.queue].values()) and time.monotonic() < moved + self._patience:
            self._rest(part, 0.2)
            if self.watch.effects != before:
                moved, before = time.monotonic(), self.watch.effects

    def _rest(self, part: str, seconds: float) -> None:
        self.storm.run((), seconds, lambda _: self._tick(part))

    def _long_messages(self) -> None:
        """One for each handler, longer than the lease; the poller is killed twice while they run."""
        setup = self.setup
        lasting = setup.visibility * _LONGER
        count = setup.handlers
        self.watch.expect(LONG)
        self._send(LONG, [(int(lasting * 1000), "-")] * count)
        self._until(lambda: len(self.watch.started) >= count, "long messages start")
        self.storm.run(
            plan.pokes(first=0.2, every=lasting / 2, count=2),
            lasting,
            lambda _: self._tick("pollers die, messages run"),
        )
        self._until(lambda: len(self.watch.ended) >= count, "long messages end")
        self._until_empty("long messages end")

    def _probes(self) -> None:
        self.watch.expect(PROBES)
        for start in range(0, PROBE_COUNT, 10):
            self._send(PROBES + start, [(0, "-")] * 10)
        self._until(lambda: len(self.watch.ended) >= PROBE_COUNT, "probes")
        self._until_empty("probes")

    def _until(self, fact: Callable[[], bool], part: str) -> None:
        end = time.monotonic() + self._patience
        while not fact() and time.monotonic() < end:
            self._rest(part, 0.05)

    def _send(self, first: int, works: list[tuple[int, str]]) -> None:
        groups = _GROUPS if self.options.fifo else 0
        sender = Sender(self.port, self.queue, self.options.folder / "producer", groups=groups, first=first)
        for start in range(0, len(works), 10):
            sender.send(works[start : start + 10])
        sender.close()
