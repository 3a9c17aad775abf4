"""Supervisor process: does to real processes what the rules decide: starts, tells, links, kills and reaps them."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
from collections.abc import Mapping
from typing import Any

from worker import platform
from worker.channel import Channel, pair
from worker.leases import LeaseTable, capacity
from worker.protocol import ControlFrame
from worker.slots import ChildState, HandlerFacts, HandlerSlot, PollerFacts, PollerSlot, Running
from worker.supervisor import reaper, spawn
from worker.supervisor.links import Links, send_attach
from worker.supervisor.process import Process
from worker.supervisor.tree import Child, QueueSet, Role
from worker.telemetry import COUNTERS

_NO_HANDLER = HandlerFacts(0, ChildState.STARTING, 0, 0, 0.0, 0, 0.0)
_NO_POLLER = PollerFacts(0, ChildState.STARTING, 0.0, 0.0, 0.0, dict.fromkeys(COUNTERS, 0))


class Processes:
    """The `Outside` of a real pool; what each method does is said there."""

    def __init__(self, selector: selectors.BaseSelector, command: spawn.Command) -> None:
        self._selector = selector
        self._command = command
        self._links = Links()
        self._by_uid: dict[int, Process] = {}
        self._by_pid: dict[int, Process] = {}
        self._tables: dict[tuple[int, int], int] = {}  #: lease tables by set and poller number

    def spawn(self, child: Child, setup: Mapping[str, Any]) -> str:
        """The control socket is the one descriptor that a child inherits; SETUP brings it the others."""
        with contextlib.ExitStack() as undo:
            try:
                places = child.queue_set.queue.places
                size = HandlerSlot.size(places) if child.role is Role.HANDLER else PollerSlot.size()
                slot = platform.anonymous_file("slot", size)
                undo.callback(os.close, slot)
                stacks = platform.anonymous_file("stacks", 0)
                undo.callback(os.close, stacks)
                lease_table = () if child.role is Role.HANDLER else (self._table(child),)
                ours, theirs = pair()
                undo.push(ours)
                with theirs:
                    child.pid = spawn.start(self._command(child.role, theirs.fileno()), theirs.fileno())
            except OSError as error:
                return str(error)
            undo.pop_all()
        process = Process(child, selector=self._selector, control=Channel(ours), slot=slot, stacks=stacks)
        self._by_uid[child.uid] = self._by_pid[child.pid] = process
        process.set_up(setup, lease_table)
        return ""

    def send(self, child: Child, kind: ControlFrame, header: Any = None) -> None:
        self._by_uid[child.uid].send(kind, header)

    def link(self, number: int, *, poller: Child, handler: Child) -> str:
        receiver, other = self._by_uid[poller.uid], self._by_uid[handler.uid]
        try:
            link = self._links.make(number, poller=poller, handler=handler, slot=other.slot)
        except OSError as error:
            return str(error)
        send_attach(number, link, to_poller=receiver, to_handler=other, concurrency=handler.queue_set.queue.places)
        if other.dead:
            self._links.dead(handler)
        return ""

    def attached(self, number: int, child: Child) -> None:
        self._links.attached(number, child)

    def signal(self, child: Child, number: signal.Signals) -> None:
        # Until we reap it, its pid cannot be anybody else's.
        if not self._by_uid[child.uid].dead:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, number)

    def kill(self, child: Child) -> None:
        if not self._by_uid[child.uid].dead:
            reaper.kill_group(child.pid)

    def running(self, handler: Child) -> list[Running]:
        places = handler.queue_set.queue.places
        return self._by_uid[handler.uid].look(lambda memory: HandlerSlot(memory, places).running(), [])

    def handler_facts(self, handler: Child) -> HandlerFacts:
        places = handler.queue_set.queue.places
        return self._by_uid[handler.uid].look(lambda memory: HandlerSlot(memory, places).look(), _NO_HANDLER)

    def poller_facts(self, poller: Child) -> PollerFacts:
        return self._by_uid[poller.uid].look(lambda memory: PollerSlot(memory).look(), _NO_POLLER)

    def stacks(self, child: Child) -> str:
        return self._by_uid[child.uid].stacks()

    def bury(self, child: Child) -> None:
        self._by_uid.pop(child.uid).close()

    def dissolve(self, queue_set: QueueSet) -> None:
        for key in [key for key in self._tables if key[0] == queue_set.uid]:
            os.close(self._tables.pop(key))

    def reap(self) -> list[tuple[Process, reaper.Reaped]]:
        """Everybody who has died, pollers first: what a dead handler leaves must not be told to a dead poller."""
        gone = [(self._by_pid.pop(reaped.pid), reaped) for reaped in reaper.reap(self._by_pid.keys())]
        for process, _ in gone:
            process.dead = True
            self._links.dead(process.child)
        return sorted(gone, key=lambda death: death[0].child.role is Role.HANDLER)

    def close(self) -> None:
        """Close everything: nobody is left, or nobody can be waited for any longer."""
        self._links.close()
        for process in self._by_uid.values():
            process.close()
        for fd in self._tables.values():
            os.close(fd)
        self._by_uid.clear()
        self._tables.clear()

    def _table(self, poller: Child) -> int:
        key = (poller.queue_set.uid, poller.number)
        if key not in self._tables:
            queue = poller.queue_set.queue
            running = queue.places * -(-poller.queue_set.wanted // queue.pollers)
            size = LeaseTable.size(capacity(running, queue.ready_messages))
            self._tables[key] = platform.anonymous_file("leases", size)
        return self._tables[key]
