"""Test process: virtual time, and processes that are greenlets: one runs at a time, and chance decides who is next.

A process runs until it waits; a slice takes no time, but the next of the same process comes a little later, as a
processor would have it. Whoever becomes ready is resumed after a delay that is drawn. So a seed is one history.
"""

from __future__ import annotations

import heapq
import random
import traceback
from collections.abc import Callable

from greenlet import getcurrent, greenlet

#: Seconds of the virtual clock at which every world begins.
START = 1000.0
#: Seconds that one slice of a process takes at least and at most.
CPU = (0.00002, 0.0002)
#: Slices of all processes in one world. A loop that never rests has to end, and it is a bug.
MOST_SLICES = 100_000


class Killed(SystemExit):
    """SIGKILL: unwinds a greenlet. User code's process lets nothing but SystemExit through."""


class Exited(SystemExit):
    """The process ended itself by os._exit."""


class Spinning(Exception):
    """The processes of a world never rest."""


class Hub:
    """The virtual clock, what is due, and the trace of what happened."""

    def __init__(self, chance: random.Random) -> None:
        self.now = START
        self.chance = chance
        self.processes: list[Process] = []  #: living ones
        self.running: Process | None = None
        self.trace: list[tuple[float, str]] = []
        self.died: dict[str, float] = {}  #: when each process ended, by name
        self.killed: dict[str, float] = {}  #: those of them that did not exit with 0
        self.crashes: list[str] = []  #: tracebacks of processes that ended by an exception
        self.main = getcurrent()  #: whoever is in no process
        self.slices = 0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    def clock(self) -> float:
        """As platform.now()."""
        return self.now

    def tell(self, text: str) -> None:
        """Something for the trace."""
        self.trace.append((self.now, text))

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Do something at a time, outside of every process."""
        self._number += 1
        heapq.heappush(self._due, (max(when, self.now), self._number, action))

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        self.at(self.now + seconds, action)

    def run(self, until: float, *, unless: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass until then, or till `unless` is true; False: time is up."""
        while not unless():
            if not self._due or self._due[0][0] > until:
                self.now = until
                return False
            self.now, _, action = heapq.heappop(self._due)
            action()
        return True

    def latency(self) -> float:
        """Seconds from an event to the process that it wakes: mostly short, now and then a hiccup of the scheduler."""
        draw = self.chance.random()
        return 0.00002 + 0.001 * draw * draw if draw < 0.99 else 0.05 * self.chance.random()

    def look(self, machine: object = None) -> None:
        """The world has changed something, or a process of this machine has: whoever is ready now will be woken."""
        for process in self.processes:
            if machine is None or process.machine is machine:
                process.look()

    def point(self, deed: str) -> None:
        """The running process is about to do something that others can see, or just did: it may be killed here."""
        if self.running is not None:
            self.running.point(deed)


class Process:
    """One simulated process. `body` runs in a greenlet and returns the exit code; it waits by `wait`."""

    def __init__(self, hub: Hub, name: str, body: Callable[[Process], int], *, machine: object) -> None:
        self.hub = hub
        self.name = name
        self.machine = machine  #: its sockets lead to processes of this machine only
        self.alive = True
        self.status = 0  #: as wait() tells it
        self.stopped = False
        self.fuse: int | None = None  #: points to pass before it is killed
        self.aim = ""  #: only points of this deed burn the fuse; nothing: all do
        self.started_at = hub.now
        self.on_death: list[Callable[[], None]] = []
        self._greenlet = greenlet(lambda: body(self), hub.main)
        self._begun = False
        self._turn = 0
        self._waking = False  #: a resume is on its way
        self._ready: Callable[[], bool] | None = None
        self._rested = 0.0  #: no slice before
        hub.processes.append(self)

    def start(self, delay: float) -> None:
        """Run for the first time after `delay` seconds."""
        self._resume_at(self.hub.now + delay)

    # --- inside of the greenlet

    def wait(self, seconds: float | None, ready: Callable[[], bool] | None = None) -> None:
        """Give way for `seconds` (None: without end), or until `ready` says so."""
        hub = self.hub
        low, high = CPU
        self._rested = hub.now + low + (high - low) * hub.chance.random()
        self._ready = ready
        if seconds is not None:
            self._resume_at(max(self._rested, hub.now + seconds))
        hub.main.switch()
        self._ready = None

    def point(self, deed: str) -> None:
        """Die here if the fuse has burnt down."""
        if self.fuse is not None and self.aim in ("", deed):
            self.fuse -= 1
            if self.fuse < 0:
                self.fuse = None
                self.prepare_kill()
                self.status = 9
                self.hub.tell(f"{self.name} killed at a point: {deed}")
                raise Killed

    # --- outside of it

    def look(self) -> None:
        """Wake it if it waits for something that is there now."""
        if self._ready is not None and not self._waking and not self.stopped and self._ready():
            self._waking = True
            self._resume_at(max(self._rested, self.hub.now + self.hub.latency()))

    def wake(self) -> None:
        """Let its wait end now, ready or not."""
        if self.alive and self._begun:
            self._resume_at(self.hub.now)

    def stop(self) -> None:
        """SIGSTOP."""
        self.stopped = True

    def go_on(self) -> None:
        """SIGCONT."""
        self.stopped = False
        if self.alive:
            self._resume_at(max(self._rested, self.hub.now + self.hub.latency()))

    def kill(self) -> None:
        """SIGKILL, from outside of every process."""
        if not self.alive:
            return
        self.prepare_kill()
        self.status = 9
        if self._begun:
            self._run(lambda: self._greenlet.throw(Killed()))
        else:
            self._ended()

    def prepare_kill(self) -> None:
        """Whatever has to be so that unwinding the greenlet does nothing that a dead process would not."""

    def _resume_at(self, when: float) -> None:
        turn = self._turn
        self.hub.at(when, lambda: self._resume(turn))

    def _resume(self, turn: int) -> None:
        if turn == self._turn and self.alive and not self.stopped:
            self._begun = True
            self._run(self._greenlet.switch)

    def _run(self, enter: Callable[[], object]) -> None:
        hub = self.hub
        hub.slices += 1
        if hub.slices > MOST_SLICES:
            raise Spinning(f"{hub.slices} slices, the last of {self.name}")
        self._turn += 1
        self._waking = False
        before, hub.running = hub.running, self
        try:
            code = enter()
            if self._greenlet.dead:
                self.status = self.status or (code if isinstance(code, int) else 0) << 8
        except Killed:
            self.status = self.status or 9
        except Exited as end:
            self.status = self.status or (end.code if isinstance(end.code, int) else 1) << 8
        except Exception:  # noqa: BLE001 - a process that ends by an exception is what the oracle has to see
            self.status = 1 << 8
            hub.tell(f"{self.name} crashed")
            hub.crashes.append(f"{self.name}: {traceback.format_exc()}")
        hub.running = before
        if self._greenlet.dead:
            self._ended()
        hub.look(self.machine)

    def _ended(self) -> None:
        self.alive = False
        self.hub.died[self.name] = self.hub.now
        if self.status:
            self.hub.killed[self.name] = self.hub.now
        self.hub.processes.remove(self)
        self.hub.tell(f"{self.name} ended with {self.status}")
        for close in self.on_death:
            close()
        self.hub.look(self.machine)

    @property
    def inside(self) -> bool:
        """Whether the caller runs in this process's greenlet."""
        return getcurrent() is self._greenlet
