"""Supervisor process: waits for signals, children and the control socket, and lets the rules answer. One thread."""

from __future__ import annotations

import os
import random
import selectors
from collections.abc import Callable

from worker import platform
from worker.channel import Frame
from worker.settings import Settings
from worker.supervisor import deaths, frames, reaper, signals, spawn, turn, verbs
from worker.supervisor.address import Refused
from worker.supervisor.control import Client, Control
from worker.supervisor.deaths import End
from worker.supervisor.pool import Pool
from worker.supervisor.process import Ended, Process
from worker.supervisor.processes import Processes
from worker.supervisor.signals import Signals
from worker.supervisor.tree import Child
from worker.telemetry import Log


def run(settings: Settings, *, reload: Callable[[], Settings], command: spawn.Command = spawn.command) -> int:
    """Run the pool until it is drained; returns the exit code: 0 clean, 78 bad config, 70 gave up, 75 unconfirmed.

    `reload` reads the config again and raises ValueError, with a text, if it is bad. `command` makes the arguments of a
    child process. Call it from the main thread: it takes the signals of the process until it returns.
    """
    log = Log(settings.log_level, process="supervisor", name=settings.name)
    loop = Loop(settings, log=log, reload=reload, command=command)
    try:
        return loop.run(settings)
    except Refused as error:
        log.error("config_rejected", reason=str(error))
        return os.EX_CONFIG
    finally:
        loop.close()


class Loop:
    """The doors to the outside, and the pool behind them."""

    def __init__(self, settings: Settings, *, log: Log, reload: Callable[[], Settings], command: spawn.Command) -> None:
        self._known = frozenset(platform.children())
        platform.adopt_orphans()
        # Before the first child exists: a TERM that comes while the pool starts has to drain it.
        self._signals = Signals()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._signals, selectors.EVENT_READ, self._signals)
        self._processes = Processes(self._selector, command)
        self._control: Control | None = None
        self._pool = Pool(
            settings=settings,
            outside=self._processes,
            log=log,
            read_settings=reload,
            pid=os.getpid(),
            started_at=platform.now(),
        )

    def run(self, settings: Settings) -> int:
        """One turn after another, until the rules name an exit code. Raises Refused before the first."""
        pool = self._pool
        control = self._control = Control(
            settings.control_socket,
            selector=self._selector,
            ask=lambda line, reply: verbs.ask(pool, line, reply, now=platform.now()),
            refuse=lambda user: pool.log.warning("control_refused", user=user),
        )
        turn.begin(pool, settings, now=platform.now())
        sleep = 0.0
        while pool.exit_code is None:
            ready = self._selector.select(sleep)
            now = platform.now()
            self._reap(now)
            for key, mask in ready:
                self._act(key.data, mask, now)
            self._reap(now)  # once more: a handler that its template has named just now may be dead already
            now = platform.now()
            clients_due = control.step(now=now)
            sleep = min(turn.step(pool, now=now, chance=random.random()), max(0.0, clients_due - now))  # noqa: S311 - jitter
        return pool.exit_code

    def close(self) -> None:
        """Leave nothing behind: no process that user code left to us, no socket, no descriptor, no signal handler."""
        self._processes.close()
        orphans = reaper.end_adopted(self._known)
        if orphans:
            self._pool.log.warning("orphans_killed", count=orphans)
        if self._control is not None:
            self._control.close()
        self._selector.close()
        self._signals.restore()

    def _act(self, data: object, mask: int, now: float) -> None:
        if isinstance(data, Process):
            for said in data.ready(mask):
                self._hear(data.child, said, now)
        elif isinstance(data, Signals):
            for number in data.arrived():
                signals.handle(self._pool, number, now=now)
        elif isinstance(data, Client) and self._control is not None:
            self._control.ready(data, mask)
        elif isinstance(data, Control):
            data.accept(now=now)

    def _reap(self, now: float) -> None:
        while dead := self._processes.reap():
            for process, reaped in dead:
                for said in process.read():
                    self._hear(process.child, said, now)
                process.hang_up()
                end = End(reaped.status, reaped.peak)
                deaths.died(self._pool, process.child, end, now=now, chance=random.random())  # noqa: S311 - jitter

    def _hear(self, child: Child, said: Frame | Ended, now: float) -> None:
        if isinstance(said, Frame):
            frames.heard(self._pool, child, kind=said.kind, header=said.header, now=now)
        elif said.garbage:
            frames.broken(self._pool, child, said.garbage, now=now)
        else:
            frames.ended(child, now=now)
