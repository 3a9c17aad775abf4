"""Chaos process: does to a pool what the plan says, and writes down each fault: on whom, from when to when."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
import os
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import IO

from chaos import limits
from chaos.logs import Fault, fault_line, stamp
from chaos.plan import Blow
from chaos.pool import Pool
from chaos.proxy import Proxy
from worker.testing.sqs_server.process import SqsServerProcess

#: Seconds between two looks at the pool.
_TICK = 0.02
#: Pids that were killed last: numbers come round, so that not all of them can be remembered.
_REMEMBERED = 50

#: Ends a fault that lasts.
End = Callable[[], None]


class Storm:
    """Strikes one pool. Only one network fault lasts at a time: healing heals the whole network."""

    def __init__(self, pool: Pool, server: SqsServerProcess, proxy: Proxy, log: IO[bytes]) -> None:
        self.struck: Counter[tuple[str, str]] = Counter()
        self._pool = pool
        self._server = server
        self._proxy = proxy
        self._log = log
        self._lasting: list[tuple[float, int, Fault, End]] = []  # a heap by their end
        self._ties = itertools.count()
        self._killed: deque[int] = deque(maxlen=_REMEMBERED)

    def run(self, blows: Sequence[Blow], seconds: float, tick: Callable[[float], None]) -> None:
        """Strike for so long; `tick` is called with the seconds since the begin, many times a second."""
        begin = time.monotonic()
        coming = list(reversed(blows))
        while (now := time.monotonic()) < begin + seconds:
            self._pool.tend(now)
            self._end(now)
            while coming and begin + coming[-1].at <= now:
                self._strike(coming.pop(), now)
            tick(now - begin)
            time.sleep(_TICK)

    def calm(self) -> None:
        """End everything that lasts."""
        self._end(float("inf"))

    def _strike(self, blow: Blow, now: float) -> None:
        act = {
            "kill": self._kill,
            "stop": self._stop,
            "squeeze": self._squeeze,
            "reload": self._reload,
            "network": self._network,
            "broker": self._broker,
        }[blow.kind]
        begin = stamp()
        done = act(blow)
        if done is None:
            return
        fault, end = done
        self.struck[blow.kind, blow.role] += 1
        fault = replace(fault, begin=begin, end=stamp())
        if end is None:
            self._log.write(fault_line(fault))
        else:
            heapq.heappush(self._lasting, (now + blow.seconds, next(self._ties), fault, end))

    def _end(self, now: float) -> None:
        while self._lasting and self._lasting[0][0] <= now:
            _, _, fault, end = heapq.heappop(self._lasting)
            end()
            self._log.write(fault_line(replace(fault, end=stamp())))

    def _hit(self, blow: Blow) -> tuple[int, tuple[int, ...]] | None:
        """Whom it hits: the pid, and those who fall with it. None: there is nobody."""
        roles = self._pool.roles()
        supervisor = self._pool.supervisor()
        if blow.role == "supervisor":
            # Handlers die with their supervisor, by the kernel's hand; pollers live on for a while.
            return (supervisor, tuple(roles.get("handler", ()))) if supervisor else None
        if blow.role == "tree":
            pids = tuple(pid for one in roles.values() for pid in one)
            return (supervisor, pids) if supervisor else None
        pids = tuple(roles.get(blow.role, ()))
        return (pids[min(len(pids) - 1, int(blow.pick * len(pids)))], ()) if pids else None

    def _kill(self, blow: Blow) -> tuple[Fault, End | None] | None:
        hit = self._hit(blow)
        if hit is None:
            return None
        pid, victims = hit
        if pid in self._killed:
            return None  # it is dead, and still to be reaped
        self._killed.append(pid)
        _signal([pid, *(victims if blow.role == "tree" else ())], signal.SIGKILL)
        return Fault("kill", blow.role, pid, 0, 0, victims), None

    def _stop(self, blow: Blow) -> tuple[Fault, End | None] | None:
        hit = self._hit(blow)
        if hit is None:
            return None
        pid, victims = hit
        pids = [pid, *(victims if blow.role == "tree" else ())]
        _signal(pids, signal.SIGSTOP)
        fault = Fault("stop", blow.role, pid, 0, 0, victims if blow.role == "tree" else ())
        return fault, lambda: _signal(pids, signal.SIGCONT)

    def _squeeze(self, blow: Blow) -> tuple[Fault, End | None] | None:
        hit = self._hit(blow)
        before = limits.squeeze(hit[0]) if hit is not None else None
        if hit is None or before is None:
            return None
        return Fault("squeeze", blow.role, hit[0], 0, 0), lambda: limits.relax(hit[0], before)

    def _reload(self, blow: Blow) -> tuple[Fault, End | None] | None:
        supervisor = self._pool.supervisor()
        if not self._pool.roles().get("poller"):
            return None  # one that still boots has no handler for this signal, and would die of it
        _signal([supervisor], signal.SIGHUP)
        return Fault("reload", blow.role, supervisor, 0, 0), lambda: None

    def _network(self, blow: Blow) -> tuple[Fault, End | None] | None:
        if any(fault.kind == "network" for _, _, fault, _ in self._lasting):
            return None
        self._proxy.hit(blow.role, blow.pick)
        return Fault("network", blow.role, 0, 0, 0, detail=f"{blow.pick:.0%} of the connections"), self._proxy.heal

    def _broker(self, blow: Blow) -> tuple[Fault, End | None] | None:
        self._server.set_faults(dict(blow.rule))
        return Fault("broker", blow.role, 0, 0, 0, detail=json.dumps(dict(blow.rule))), self._clear

    def _clear(self) -> None:
        """Rules end by themselves; the list of them is emptied when none is in force."""
        if not any(fault.kind == "broker" for _, _, fault, _ in self._lasting):
            self._server.clear_faults()


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
