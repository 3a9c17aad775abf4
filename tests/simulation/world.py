"""Test process: one simulated world, from its first message to its last process. Its seed is all that decides.

One queue with its dead-letter queue and a target of forwards on the strict server; one or two machines, each with a
supervisor, a poller and handlers; a producer. Faults come from `faults`, the verdict from `oracle`.
"""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Sequence
from functools import partial

from tests.simulation import application, plan
from tests.simulation.application import MIXES, Application, Order
from tests.simulation.faults import Faults
from tests.simulation.hub import START, Hub
from tests.simulation.journal import Journal
from tests.simulation.machine import Machine
from tests.simulation.network import Line, Pump
from tests.simulation.operators import ORDERLY
from tests.simulation.oracle import Verdict, judge
from tests.simulation.programs import PollerProcess
from tests.simulation.story import Incident, gather
from tests.simulation.system import simulated
from worker.aws.queues import ResolvedQueue
from worker.testing.simulated_sqs import SimulatedServer
from worker.testing.sqs_server.queue import Queue

#: Pids beyond what the kernel gives (2 ** 22).
FIRST_PID = 5_000_000
#: Seconds for everything to be settled, and for all pools to drain after that.
QUIESCE, DRAIN = 800.0, 20.0
#: Seconds till a call has its answer, or is given up.
ANSWERED = 10.0
#: FIFO: attempts before a message is rejected, where the settings name none (poller.boot).
ATTEMPTS = 5


class World:
    """One seed. `only` are the kinds of faults that it may have, if not all; `mix` the sort of its messages."""

    def __init__(self, seed: int, *, fifo: bool, only: frozenset[str] | None = None, mix: str = "") -> None:
        # A text, whose hash does not depend on PYTHONHASHSEED: random seeds itself with its SHA-512.
        self.chance = random.Random(f"{seed} {'fifo' if fifo else 'standard'}")
        self.plan = plan.draw(self.chance, fifo=fifo, mix=mix)
        self.hub = Hub(self.chance)
        self.server = SimulatedServer(self.hub.clock, chance=self.chance.random, seed=f"{seed}")
        self.pump = Pump(self.hub, self.server)
        self.journal = Journal(self.hub.clock)
        self.machines: list[Machine] = []
        self.lines: list[tuple[Line, PollerProcess]] = []
        self.orders: list[Order] = []
        self.sent: dict[int, str] = {}  #: message ids
        self.died_with: Counter[str] = Counter()  #: messages that slots named when their handlers died
        self.overdue: list[tuple[str, float]] = []  #: handlers that were killed for a message past its deadline
        self.incidents: list[Incident] = []
        self.ending = False
        self.unfinished: list[str] = []
        self._pids = FIRST_PID
        suffix = ".fifo" if fifo else ""
        self.url = self._create(f"work{suffix}", fifo)
        self.dead_letters = self._create(f"dead{suffix}", fifo)
        self.target = self._create("target", fifo=False)
        dead_letters = self.plan.dead_letters
        self.resolved = ResolvedQueue(self.url, fifo, self.dead_letters if dead_letters else "").to_json()
        self.faults = Faults(self)
        self.application = Application(self.chance, forward_to=self.target, dead_letters=dead_letters)
        self._produce(application.draw(self.chance, self.plan.messages, mix=MIXES[self.plan.mix]))
        self.faults.schedule(only)

    def _create(self, name: str, fifo: bool) -> str:
        attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true"} if fifo else {}
        url: str = self.server.call("CreateQueue", QueueName=name, Attributes=attributes)["QueueUrl"]
        return url

    # --- what happens in it

    def run(self) -> None:
        """From the first to the last moment."""
        with simulated(self):
            for _ in range(self.plan.machines):
                self._start_machine()
            self.hub.run(START + QUIESCE, unless=lambda: self.hub.now > self.faults.until and self._settled())
            self._stop_machines()
            if not self.hub.run(self.hub.now + DRAIN, unless=lambda: not self.hub.processes):
                self.unfinished += [f"{process.name} did not end" for process in self.hub.processes]
            for process in list(self.hub.processes):
                process.kill()

    def verdict(self) -> Verdict:
        """What the oracle says, and what was seen without it."""
        orders = {order.number: order for order in self.orders}
        fifo, letters = self.plan.fifo, self.plan.dead_letters
        attempts = self.plan.retry.attempts or ATTEMPTS
        verdict = judge(gather(self), orders, fifo=fifo, attempts=attempts, dead_letters=letters)
        if ORDERLY.issuperset(self.faults.injected):
            verdict.nothing_failed()
        verdict.violations += [*self.unfinished, *self.hub.crashes]
        for machine in self.machines:
            verdict.violations += machine.unbalanced()
        return verdict

    def _start_machine(self) -> None:
        self.machines.append(Machine(self, f"m{len(self.machines)}", self.plan.settings(self.url)))

    def replace(self, machine: Machine) -> None:
        """A pool that has ended is started anew, once, unless everything is to end."""
        if not self.ending and not machine.replaced:
            machine.replaced = True
            self._start_machine()

    def _produce(self, orders: Sequence[Order]) -> None:
        self.orders += orders
        moments = sorted(START + self.plan.seconds * self.chance.random() for _ in orders)
        for moment, order in zip(moments, orders, strict=True):
            self.hub.at(moment, partial(self._send, order, f"g{self.chance.randrange(self.plan.groups)}"))

    def _send(self, order: Order, group: str) -> None:
        options = {"MessageGroupId": group} if self.plan.fifo else {}
        answer = self.server.call("SendMessage", QueueUrl=self.url, MessageBody=order.body(), **options)
        self.sent[order.number] = answer["MessageId"]
        self.pump()

    def _settled(self) -> bool:
        """Whether every message was sent, and none is left in the source queue."""
        return len(self.sent) == len(self.orders) and not self.queue_of(self.url).messages

    def _stop_machines(self) -> None:
        """SIGTERM to every supervisor. Nothing is wrong any more, so each has to end with 0.

        Unless a call that was made before the last fault ended may still be without an answer, or a poller of an older
        set has ended so: a release that nobody is sure of is not the clean end that 0 stands for.
        """
        self.ending = True
        clean = self.hub.now > self.faults.until + ANSWERED
        for machine in self.machines:
            if machine.up:
                told = any(any(one.unconfirmed.values()) for one in machine.pool.sets)
                machine.must_be_clean = clean and machine.pool.stop is None and not told
                machine.send_signal(signal.SIGTERM)

    # --- what its parts ask for

    def queue_of(self, url: str) -> Queue:
        """A queue of the server, as only a test may look at it."""
        return self.server.broker.region("us-east-1").entries[url.rpartition("/")[2]].queue

    def new_pid(self) -> int:
        """A pid that was never used."""
        self._pids += 1
        return self._pids

    def open_line(self, process: PollerProcess) -> Line:
        """The connections of a poller that has booted: from here on its machine extends its leases again."""
        hub, server = self.hub, self.server
        line = Line(hub, server, self.url, connection=process.pid, journal=self.journal, pump=self.pump)
        self.lines.append((line, process))
        for incident in self.incidents:
            same = incident.machine == process.machine.name and incident.what in ("", process.place)
            if incident.kind == "poller down" and same:
                incident.end = min(incident.end, hub.now)
        return line
