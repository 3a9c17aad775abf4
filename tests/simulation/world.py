"""Test process: one simulated world, from its first message to its last process. Its seed is all that decides.

One queue with its dead-letter queue and a target of forwards on the strict server; one or two machines, each with a
supervisor, a poller and handlers; a producer. Faults come from `faults`, the verdict from `oracle`.
"""

from __future__ import annotations

import os
import random
import selectors
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NoReturn
from unittest import mock

from tests.simulation.application import Application, Order
from tests.simulation.faults import Faults
from tests.simulation.hub import START, Exited, Hub, Process
from tests.simulation.machine import Machine
from tests.simulation.network import Line, Pump
from tests.simulation.programs import Child, PollerProcess
from tests.simulation.story import Incident
from worker import platform
from worker.aws.queues import ResolvedQueue
from worker.settings import QueueSettings, RetrySettings, Settings
from worker.testing.simulated_sqs import SimulatedServer
from worker.testing.sqs_server.queue import Queue

#: Pids beyond what the kernel gives (2 ** 22).
FIRST_PID = 5_000_000
#: Seconds for everything to be settled once all faults have ended, and to drain.
QUIESCE, DRAIN = 400.0, 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a seed draws first."""

    fifo: bool
    machines: int
    handlers: int
    groups: int
    messages: int
    seconds: float  #: in which messages are sent
    wait: float
    visibility: float
    retry: RetrySettings
    handler_timeout: float  #: above what a handler function takes, 30 s


@dataclass(slots=True)
class Journal:
    """What the network saw: a sequence and the number of a receive name a receipt, as in the server's events."""

    clock: Any
    read: dict[str, float] = field(default_factory=dict)  #: when a poller read the answer that brought it
    hidden: list[tuple[float, str, int]] = field(default_factory=list)  #: given back: when, receipt, seconds

    def arrived(self, connection: int, receipts: list[str]) -> None:  # noqa: ARG002 - the trace may want it
        for receipt in receipts:
            self.read.setdefault(label(receipt), self.clock())

    def hid(self, connection: int, receipt: str, seconds: int) -> None:  # noqa: ARG002 - as above
        self.hidden.append((self.clock(), label(receipt), seconds))


def label(receipt: str) -> str:
    """A receipt as the server's event log names it."""
    both = int(receipt[-24:], 16)
    return f"{both >> 32}.{both & 0xFFFF_FFFF}"


def draw(chance: random.Random, *, fifo: bool) -> Plan:
    """The shape of a world."""
    wait = float(chance.choice((1, 2, 3)))
    return Plan(
        fifo=fifo,
        machines=1 if fifo else chance.choice((1, 2)),
        handlers=chance.choice((1, 2, 3, 4)) if fifo else chance.choice((1, 2, 3)),
        groups=chance.choice((1, 2, 4)),
        messages=chance.randint(15, 30),
        seconds=chance.choice((2.0, 20.0, 40.0)),
        wait=wait,
        # At least 1.5 x (wait + 5 s), as the config demands.
        visibility=float(chance.choice((9, 12, 20)) + 2 * (wait - 1)),
        retry=RetrySettings(first=0.5, most=4.0, attempts=chance.choice((0, 4))),
        handler_timeout=45.0,
    )


class World:
    """One seed."""

    def __init__(self, seed: int, *, fifo: bool) -> None:
        self.seed = seed
        self.chance = random.Random(f"{seed} {'fifo' if fifo else 'standard'}")
        self.plan = plan = draw(self.chance, fifo=fifo)
        self.hub = Hub(self.chance)
        self.server = SimulatedServer(self.hub.clock, chance=self.chance.random, seed=f"{seed}")
        self.pump = Pump(self.hub, self.server)
        self.journal = Journal(self.hub.clock)
        self.machines: list[Machine] = []
        self.lines: list[tuple[Line, PollerProcess]] = []
        self.orders: list[Order] = []
        self.sent: dict[int, str] = {}  #: message ids
        self.ending = False
        self.incidents: list[Incident] = []
        self.machine_names: dict[int, str] = {}  #: by connection
        self._pids = FIRST_PID
        suffix = ".fifo" if plan.fifo else ""
        self.url = self._create(f"work{suffix}", plan.fifo)
        self.dead_letters = self._create(f"dead{suffix}", plan.fifo)
        self.target = self._create("target", fifo=False)
        self.resolved = ResolvedQueue(self.url, plan.fifo, self.dead_letters).to_json()
        self.faults = Faults(self)
        self.application = Application(self.chance, forward_to=self.target)

    def _create(self, name: str, fifo: bool) -> str:
        attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true"} if fifo else {}
        url: str = self.server.call("CreateQueue", QueueName=name, Attributes=attributes)["QueueUrl"]
        return url

    def new_pid(self) -> int:
        """A pid that was never used."""
        self._pids += 1
        return self._pids

    def open_line(self, process: PollerProcess) -> Line:
        """The connections of a poller that boots."""
        line = Line(
            self.hub,
            self.server,
            self.url,
            connection=process.pid,
            journal=self.journal,
            pump=self.pump,
        )
        self.lines.append((line, process))
        self.machine_names[process.pid] = process.machine.name
        for incident in self.incidents:
            if incident.kind == "poller down" and incident.machine == process.machine.name:
                incident.end = min(incident.end, self.hub.now)
        return line

    # --- its life

    def start_machine(self) -> Machine:
        """A pool is started."""
        plan = self.plan
        queue = QueueSettings(
            name="work",
            handler="app:handle",
            url=self.url,
            handlers=plan.handlers,
            wait=plan.wait,
            visibility_timeout=plan.visibility,
            handler_timeout=plan.handler_timeout,
            retry=plan.retry,
            polls=3,
        )
        settings = Settings(name="simulated", queues=(queue,), drain_timeout=plan.wait + 12.0)
        machine = Machine(self, f"m{len(self.machines)}", settings)
        self.machines.append(machine)
        return machine

    def replace(self, _: Machine) -> None:
        """A pool that has ended is started anew, unless everything is to end."""
        if not self.ending:
            self.start_machine()

    def produce(self, orders: Sequence[Order]) -> None:
        """Schedule the sends."""
        self.orders += orders
        moments = sorted(START + self.plan.seconds * self.chance.random() for _ in orders)
        for moment, order in zip(moments, orders, strict=True):
            group = f"g{self.chance.randrange(self.plan.groups)}"
            self.hub.at(moment, lambda order=order, group=group: self._send(order, group))  # type: ignore[misc]

    def _send(self, order: Order, group: str) -> None:
        options = {"MessageGroupId": group} if self.plan.fifo else {}
        answer = self.server.call("SendMessage", QueueUrl=self.url, MessageBody=order.body(), **options)
        self.sent[order.number] = answer["MessageId"]
        self.pump()

    def settled(self) -> bool:
        """Whether every message was sent, and none is left in the source queue."""
        return len(self.sent) == len(self.orders) and not self.queue_of(self.url).messages

    def queue_of(self, url: str) -> Queue:
        """A queue of the server, as only a test may look at it."""
        return self.server.broker.region("us-east-1").entries[url.rpartition("/")[2]].queue

    def stop_machines(self) -> None:
        """SIGTERM to every supervisor."""
        self.ending = True
        for machine in self.machines:
            if machine.up:
                machine.send_signal(signal.SIGTERM)

    def stopped(self) -> bool:
        """Whether no process is left."""
        return not self.hub.processes

    def run(self) -> None:
        """From the first to the last moment."""
        with doors(self):
            for _ in range(self.plan.machines):
                self.start_machine()
            self.live()
            self.close()

    def live(self) -> None:
        self.hub.run(START + QUIESCE, unless=lambda: self.hub.now > self.faults.until and self.settled())
        self.stop_machines()
        self.hub.run(self.hub.now + DRAIN, unless=self.stopped)

    def close(self) -> None:
        """End what is left."""
        for process in list(self.hub.processes):
            process.kill()


@contextmanager
def doors(world: World) -> Iterator[None]:
    """Replace the doors of the shipped code to the operating system, and to AWS."""
    hub, chance = world.hub, world.chance

    def running() -> Process:
        assert hub.running is not None
        return hub.running

    def channel(sock: Any) -> Any:
        process = running()
        assert isinstance(process, Child)
        return process.channel(sock)

    def calls(*_: Any, **__: Any) -> Line:
        process = running()
        assert isinstance(process, PollerProcess)
        return process.line

    def selector() -> Any:
        process = running()
        assert isinstance(process, PollerProcess)
        return process.selector

    def machine_of(process: Process) -> Machine:
        return next(machine for machine in world.machines if machine.supervisor is process)

    def start(arguments: Sequence[str], fd: int) -> int:
        return machine_of(running()).spawn(arguments[1], fd)

    def kill(pid: int) -> None:
        for machine in world.machines:
            machine.kill(pid)

    def leave(code: int) -> NoReturn:
        raise Exited(code)

    session = SimpleNamespace(controlling=lambda _: None, receiving=lambda _: None)
    patches: tuple[tuple[Any, str, Any], ...] = (
        (platform, "now", hub.clock),
        (os, "_exit", leave),
        (selectors, "DefaultSelector", selector),
    )
    named: tuple[tuple[str, Any], ...] = (
        ("worker.aws.session.Session", lambda *_: session),
        ("worker.aws.calls.Calls", calls),
        ("worker.poller.boot.random", chance),
        ("worker.poller.boot.uuid", SimpleNamespace(uuid4=lambda: f"{chance.getrandbits(64):016x}")),
        ("worker.poller.loop.Channel", channel),
        ("worker.handler.links.Channel", channel),
        ("worker.handler.loop.resident_bytes", lambda: 1 << 20),
        ("worker.supervisor.spawn.start", start),
        ("worker.supervisor.reaper.kill_group", kill),
        ("worker.supervisor.reaper.reap", lambda _: machine_of(running()).dead()),
    )
    with ExitStack() as stack:
        for target, name, replacement in patches:
            stack.enter_context(mock.patch.object(target, name, replacement))
        for name, replacement in named:
            stack.enter_context(mock.patch(name, replacement))
        yield
