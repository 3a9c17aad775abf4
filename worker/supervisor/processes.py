"""Supervisor process: does to real processes what the rules decide: starts, tells, links, kills and reaps them."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
from collections.abc import Mapping
from typing import Any, NamedTuple

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


class _Parts(NamedTuple):
    """What a child is given: its slot, the file of its stacks, both ends of its control socket."""

    slot: int
    stacks: int
    ours: socket.socket
    theirs: socket.socket


class Processes:
    """The `Outside` of a real pool; what each method does is said there."""

    def __init__(self, selector: selectors.BaseSelector, command: spawn.Command) -> None:
        self._selector = selector
        self._command = command
        self._links = Links()
        self._by_uid: dict[int, Process] = {}
        self._by_pid: dict[int, Process] = {}
        #: Handlers that a template is to fork: their end of the control socket, and their SETUP.
        self._unborn: dict[int, tuple[socket.socket, Mapping[str, Any]]] = {}
        self._tables: dict[tuple[int, int], int] = {}  #: lease tables by set and poller number

    def spawn(self, child: Child, setup: Mapping[str, Any]) -> str:
        """The control socket is the one descriptor that a child inherits; SETUP brings it the others."""
        with contextlib.ExitStack() as undo:
            try:
                lease_table = (self._table(child),) if child.role is Role.POLLER else ()
                parts = _parts(child, undo)
                with parts.theirs:
                    fd = parts.theirs.fileno()
                    child.pid = spawn.start(self._command(child.role, fd), fd)
            except OSError as error:
                return str(error)
            undo.pop_all()
        process = self._by_pid[child.pid] = self._keep(child, parts)
        process.set_up(setup, lease_table)
        return ""

    def fork(self, child: Child, setup: Mapping[str, Any], *, template: Child) -> str:
        """Our copy of its end is kept until the template has answered: the frame that carries it may have to wait."""
        with contextlib.ExitStack() as undo:
            try:
                parts = _parts(child, undo)
            except OSError as error:
                return str(error)
            undo.pop_all()
        self._keep(child, parts)
        self._unborn[child.uid] = (parts.theirs, setup)
        self._by_uid[template.uid].send(ControlFrame.FORK, {"uid": child.uid}, fds=(parts.theirs.fileno(),))
        return ""

    def adopt(self, child: Child, pid: int) -> bool:
        """The template has reaped the process between, so the kernel has made this one our child by now."""
        if pid in self._by_pid or not platform.is_child(pid):
            return False
        theirs, setup = self._unborn.pop(child.uid)
        theirs.close()
        child.pid = pid
        process = self._by_pid[pid] = self._by_uid[child.uid]
        process.set_up(setup, ())
        return True

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
        # Until we reap it, its pid cannot be anybody else's. 0 would be our own group.
        if child.pid and not self._by_uid[child.uid].dead:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, number)

    def kill(self, child: Child) -> None:
        if child.pid and not self._by_uid[child.uid].dead:
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
        if child.uid in self._unborn:
            self._unborn.pop(child.uid)[0].close()

    def dissolve(self, queue_set: QueueSet) -> None:
        for key in [key for key in self._tables if key[0] == queue_set.uid]:
            os.close(self._tables.pop(key))

    def reap(self) -> list[tuple[Process, reaper.Reaped]]:
        """Everybody who has died, pollers first: what a dead handler leaves must not be told to a dead poller."""
        reap = reaper.reap_own if self._unborn else reaper.reap
        gone = [(self._by_pid.pop(reaped.pid), reaped) for reaped in reap(self._by_pid.keys())]
        for process, _ in gone:
            process.dead = True
            self._links.dead(process.child)
        return sorted(gone, key=lambda death: death[0].child.role is Role.HANDLER)

    def close(self) -> None:
        """Close everything: nobody is left, or nobody can be waited for any longer."""
        self._links.close()
        for process in self._by_uid.values():
            process.close()
        for theirs, _ in self._unborn.values():
            theirs.close()
        for fd in self._tables.values():
            os.close(fd)
        self._unborn.clear()
        self._by_uid.clear()
        self._tables.clear()

    def _keep(self, child: Child, parts: _Parts) -> Process:
        control = Channel(parts.ours)
        process = Process(child, selector=self._selector, control=control, slot=parts.slot, stacks=parts.stacks)
        self._by_uid[child.uid] = process
        return process

    def _table(self, poller: Child) -> int:
        key = (poller.queue_set.uid, poller.number)
        if key not in self._tables:
            queue = poller.queue_set.queue
            running = queue.places * -(-poller.queue_set.wanted // queue.pollers)
            size = LeaseTable.size(capacity(running, queue.ready_messages))
            self._tables[key] = platform.anonymous_file("leases", size)
        return self._tables[key]


def _parts(child: Child, undo: contextlib.ExitStack) -> _Parts:
    """Make them; `undo` closes all but `theirs`. Raises OSError if there are no descriptors left."""
    places = child.queue_set.queue.places
    size = PollerSlot.size() if child.role is Role.POLLER else HandlerSlot.size(places)
    slot = platform.anonymous_file("slot", size)
    undo.callback(os.close, slot)
    stacks = platform.anonymous_file("stacks", 0)
    undo.callback(os.close, stacks)
    ours, theirs = pair()
    undo.push(ours)
    return _Parts(slot, stacks, ours, theirs)
