"""Test process: one machine: a pool of simulated processes under the real rules of the supervisor."""

from __future__ import annotations

import errno
import os
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tests.simulation.doors import SimulatedSelector, TracingLog
from tests.simulation.hub import Process
from tests.simulation.programs import Child, HandlerProcess, PollerProcess, supervise
from tests.simulation.story import Incident
from worker import platform
from worker.channel import Frame
from worker.leases import LeaseTable
from worker.settings import Settings
from worker.supervisor import deaths, frames
from worker.supervisor.deaths import End
from worker.supervisor.pool import Pool
from worker.supervisor.process import Ended
from worker.supervisor.processes import Processes
from worker.supervisor.reaper import Reaped
from worker.supervisor.tree import Child as Row
from worker.supervisor.tree import Role

if TYPE_CHECKING:
    from tests.simulation.world import World

#: Records of a lease table: so few that it is full now and then.
TABLE = 48
#: Seconds from a death to its SIGCHLD, and to the signal of a parent's death.
SIGNAL_DELAY = 0.0005


class SimulatedProcesses(Processes):
    """The real Outside of a pool, whose processes are greenlets."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine.selector, command=lambda role, fd: (machine.name, role, str(fd)))  # type: ignore[arg-type]  # only a part of a selector is used
        self._machine = machine

    def signal(self, child: Row, number: signal.Signals) -> None:
        if number is signal.SIGUSR1:
            self._machine.interrupt(child.pid)

    def _table(self, poller: Row) -> int:
        key = (poller.queue_set.uid, poller.number)
        if key not in self._tables:
            self._tables[key] = platform.anonymous_file("leases", LeaseTable.size(TABLE))
        return self._tables[key]


class Machine:
    """A supervisor, and its children by pid. Pids lie beyond the kernel's, so that none means a real process."""

    def __init__(self, world: World, name: str, settings: Settings) -> None:
        self.world = world
        self.name = name
        self.settings = settings
        self.children: dict[int, Child] = {}
        self.unreaped: list[Child] = []
        self.replaced = False  #: another one has been started in its place
        self.starved_until = 0.0  #: it has no process to give
        self.broken_until = float("-inf")  #: its application does not start
        self.must_be_clean = False  #: it was stopped when nothing was wrong any more
        self._pollers_died = False  #: other than by their own exit
        self.supervisor = Process(world.hub, f"{name} supervisor", partial(supervise, machine=self), machine=self)
        self.selector = SimulatedSelector(self.supervisor)
        self.selector.also = lambda: bool(self.unreaped or self._signals)
        self.processes = SimulatedProcesses(self)
        self.pool = Pool(
            settings=settings,
            outside=self.processes,
            log=TracingLog(world.hub, f"{name} supervisor"),
            read_settings=self._read_settings,
            pid=world.new_pid(),
            started_at=world.hub.now,
        )
        self._signals: list[int] = []
        self._file: int | None = 0
        self.supervisor.on_death.append(self._orphan)
        self.supervisor.start(0.0)

    # --- what the supervisor asks of the system

    def spawn(self, role: str, control_fd: int) -> int:
        """A child process; returns its pid. Raises OSError while there is none to give."""
        if self.world.hub.now < self.starved_until:
            raise BlockingIOError(errno.EAGAIN, "simulated: no process to give")
        world, pid = self.world, self.world.new_pid()
        kind = PollerProcess if role == Role.POLLER else HandlerProcess
        name = f"{self.name} {role} {pid}"
        child = kind(world.hub, name, machine=self, pid=pid, control_fd=os.dup(control_fd))
        self.children[pid] = child
        child.on_death.append(lambda: self._died(child))
        child.start(0.001 + 0.005 * world.hub.chance.random())
        return pid

    def kill(self, pid: int) -> None:
        """SIGKILL of a process group; it acts when the caller's slice is over."""
        child = self.children.get(pid)
        if child is not None:
            self.world.hub.at(self.world.hub.now, child.kill)

    def interrupt(self, pid: int) -> None:
        """SIGUSR1 of a handler."""
        child = self.children.get(pid)
        if isinstance(child, HandlerProcess):
            child.interrupt()

    def dead(self) -> Iterator[Reaped]:
        """As reaper.reap()."""
        gone, self.unreaped = self.unreaped, []
        for child in gone:
            yield Reaped(child.pid, child.status, 1 << 20)

    def _died(self, child: Child) -> None:
        del self.children[child.pid]
        if child.status and isinstance(child, PollerProcess):
            self._pollers_died = True
            down = Incident("poller down", self.world.hub.now, machine=self.name, what=child.place)
            self.world.incidents.append(down)
        if self.supervisor.alive:
            self.unreaped.append(child)

    def edit(self, handlers: int | None) -> None:
        """The config file says another number of handlers; 0: as before, None: it is wrong."""
        self._file = handlers

    def _read_settings(self) -> Settings:
        if self._file is None:
            raise ValueError("simulated: the config is wrong")
        if not self._file:
            return self.settings
        queue = replace(self.settings.queues[0], handlers=self._file)
        return replace(self.settings, queues=(queue,))

    def heal(self) -> None:
        """Nothing is wrong with it any more."""
        self.starved_until = 0.0
        self.broken_until = float("-inf")

    def _orphan(self) -> None:
        """The supervisor is gone: handlers die with it (PDEATHSIG), pollers see the end of their control sockets."""
        if self.pool.exit_code is None:
            self.processes.close()
        if self.pool.exit_code != 0:
            kind = "supervisor died" if self.pool.exit_code is None else "drain overran"
            self.world.incidents.append(Incident(kind, self.world.hub.now, machine=self.name))
        for child in list(self.children.values()):
            if isinstance(child, HandlerProcess):
                self.world.hub.after(SIGNAL_DELAY, child.kill)

    # --- what its loop does with what it gets

    def reap(self, now: float) -> None:
        """Take note of the dead."""
        for process, reaped in self.processes.reap():
            self.hear(process.child, process.read(), now)
            process.silence()
            end = End(reaped.status, reaped.peak)
            if process.child.overdue:
                self.world.overdue.append((f"{self.name} handler {reaped.pid}", now))
            deaths.died(self.pool, process.child, end, now=now, chance=self.world.hub.chance.random())

    def hear(self, child: Row, said: Iterator[Frame | Ended], now: float) -> None:
        """Take what a child said."""
        for one in said:
            if isinstance(one, Frame):
                frames.heard(self.pool, child, kind=one.kind, header=one.header, now=now)
            elif one.garbage:
                frames.broken(self.pool, child, one.garbage, now=now)
            else:
                frames.ended(child, now=now)

    def send_signal(self, number: signal.Signals) -> None:
        """A signal to the supervisor."""
        self._signals.append(number)
        self.supervisor.look()

    def take_signals(self) -> list[int]:
        """The signals that have arrived."""
        arrived, self._signals = self._signals, []
        return arrived

    # --- for faults and the oracle

    def unbalanced(self) -> Iterator[str]:
        """What its exit code and its counters tell that must not be; counters that died with a poller tell nothing."""
        code = self.pool.exit_code
        if self.must_be_clean and code != 0:
            yield f"{self.name} ended with {code}, though nothing was wrong any more"
        if code != 0 or self._pollers_died:
            return
        counts = self.pool.totals.get("work", Counter())
        accounted = counts["deleted"] + counts["released"] + counts["dead_lettered"] + counts["lost"]
        if counts["received"] != accounted:
            yield f"{self.name} received {counts['received']} deliveries and accounts for {accounted}"

    @property
    def up(self) -> bool:
        """Whether its supervisor lives."""
        return self.supervisor.alive

    def handlers(self) -> list[HandlerProcess]:
        """The living handlers, oldest first."""
        return [child for child in self.children.values() if isinstance(child, HandlerProcess)]

    def pollers(self) -> list[PollerProcess]:
        """The living pollers that have booted, oldest first."""
        children = self.children.values()
        return [child for child in children if isinstance(child, PollerProcess) and hasattr(child, "selector")]
