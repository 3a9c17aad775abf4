"""Test process: what simulated processes run: the real supervisor rules, poller loop and handler loop."""

from __future__ import annotations

import os
from socket import socket
from typing import TYPE_CHECKING, Any

from tests.simulation.application import Run
from tests.simulation.doors import (
    FragileSlot,
    FragileTable,
    SimulatedChannel,
    SimulatedLinks,
    SimulatedSelector,
    SimulatedStreamThread,
    TracingLog,
)
from tests.simulation.hub import Hub, Killed, Process
from tests.simulation.network import Line
from worker import platform
from worker.channel import PROTOCOL, Frame
from worker.handler.endings import Endings
from worker.handler.links import SupervisorGone
from worker.handler.loop import Loop
from worker.handler.signals import Alarm
from worker.handler.stream import Stream
from worker.message import Message
from worker.poller.boot import Boot
from worker.protocol import ControlFrame
from worker.settings import from_json
from worker.slots import ChildState, PollerSlot

if TYPE_CHECKING:
    from tests.simulation.machine import Machine

#: Seconds between two looks of the stream thread.
LOOK = 0.020
#: Seconds from exec to READY, at best: boto3 and the queue for a poller, the import of the application for a handler.
POLLER_BOOT, HANDLER_BOOT = (0.2, 0.6), (0.05, 0.4)


class Child(Process):
    """What both kinds of children have: a control socket, and SETUP as the first frame."""

    def __init__(self, hub: Hub, name: str, *, machine: Machine, pid: int, control_fd: int) -> None:
        super().__init__(hub, name, lambda _: self.run(), machine=machine)
        self.machine: Machine = machine
        self.pid = pid
        self.control = SimulatedChannel(socket(fileno=control_fd), self)

    def run(self) -> int:
        """The process, from exec to its exit code."""
        raise NotImplementedError

    def channel(self, sock: socket) -> SimulatedChannel:
        """As its code calls Channel."""
        return SimulatedChannel(sock, self)

    def first_frames(self, boot: tuple[float, float]) -> list[Frame]:
        """SETUP and what has come with it, after the time that booting takes."""
        selector = SimulatedSelector(self)
        selector.register(self.control.fileno(), 1)
        selector.select()
        low, high = boot
        self.wait((low + (high - low) * self.hub.chance.random()) * self.machine.world.plan.boots)
        return self.control.receive()


class PollerProcess(Child):
    """Boot.serve() and all that follows, as worker.poller.boot.main() calls it."""

    line: Line
    selector: SimulatedSelector
    place = ""  #: which of its set's pollers it is

    def run(self) -> int:
        setup, *early = self.first_frames(POLLER_BOOT)
        if self.control.closed:
            return os.EX_TEMPFAIL
        header, (slot_fd, table_fd, stacks_fd) = setup.header, setup.fds
        self.place = f"poller {header['number']}"
        settings = from_json(header["settings"])
        slot, table = PollerSlot(platform.map_file(slot_fd)), FragileTable(platform.map_file(table_fd))
        journal = self.machine.world.journal
        table.hub, table.on_add, table.on_release = self.hub, journal.recorded, journal.hid
        for fd in (slot_fd, table_fd, stacks_fd):
            os.close(fd)
        self.line = self.machine.world.open_line(self)
        self.on_death.append(lambda: self.line.cut(noticed=self.hub.chance.random() < 0.5))
        self.selector = SimulatedSelector(self, self.line)
        self.line.changed = self.look
        now = self.hub.now
        slot.tell(pid=self.pid, state=ChildState.STARTING, now=now, received_at=now, quiet_until=now)
        log = TracingLog(self.hub, self.name)
        queue = settings.queue(header["queue"])
        boot = Boot(settings, queue, control=self.control, log=log, header=header, early=early)
        return boot.serve(slot, table)


class HandlerProcess(Child):
    """The parts of a handler as worker.handler.boot.boot() puts them together. User code takes virtual time."""

    def __init__(self, hub: Hub, name: str, *, machine: Machine, pid: int, control_fd: int) -> None:
        super().__init__(hub, name, machine=machine, pid=pid, control_fd=control_fd)
        self.alarmed = False  #: SIGUSR1 is pending
        self.in_user_code = False
        self.current: Run | None = None
        self.named = ""  #: the message that its slot names
        self._alarm = Alarm()
        self._endings: Endings | None = None
        self.links: SimulatedLinks | None = None
        self._thread: SimulatedStreamThread | None = None
        self._talk_due = False
        self._stream: Stream
        self.on_death.append(lambda: machine.world.died_with.update([self.named]))

    def run(self) -> int:
        setup, *later = self.first_frames(HANDLER_BOOT)
        if self.control.closed:
            return os.EX_TEMPFAIL
        header, (slot_fd, stacks_fd) = setup.header, setup.fds
        if self.hub.now < self.machine.broken_until:
            return os.EX_SOFTWARE
        settings = from_json(header["settings"])
        queue = settings.queue(header["queue"])
        slot = FragileSlot(platform.map_file(slot_fd), header["concurrency"])
        slot.hub, slot.on_start, slot.on_finish = self.hub, self._named, self._recorded
        for fd in (slot_fd, stacks_fd):
            os.close(fd)
        slot.tell(pid=self.pid, state=ChildState.STARTING)
        self._stream = stream = Stream()
        self.links = links = SimulatedLinks(self.control, stream, self)
        self.on_death.append(links.close)
        self._endings = Endings(lambda: TracingLog(self.hub, self.name), links, stream)
        self._thread = SimulatedStreamThread(links, stream, self)
        self._thread.on_lend = self._lent
        loop = Loop(
            self._user_code,
            queue=queue.name,
            timeout=queue.handler_timeout,
            slot=slot,
            links=links,
            stream=stream,
            thread=self._thread,
            alarm=self._alarm,
            endings=self._endings,
            clock=self.hub.clock,
        )
        self.control.send(ControlFrame.READY, {"protocol": PROTOCOL})
        links.obey(later)
        try:
            loop.run()
        except SupervisorGone:
            return os.EX_TEMPFAIL
        links.finish(1.0)
        return 0

    def _user_code(self, message: Message) -> Any:
        self.in_user_code = True
        try:
            return self.machine.world.application.handle(self, message)
        finally:
            self.in_user_code = False

    def _named(self, place: int) -> None:
        self.named = self._stream.running[place].id

    def _recorded(self) -> None:
        self.named = ""
        if self.current is not None:
            self.current.recorded = True

    def sleep(self, seconds: float) -> None:
        """User code takes its time. SIGUSR1 may end it, by the real signal handler."""
        end = self.hub.now + seconds
        while self.hub.now < end:
            self.wait(end - self.hub.now)
            if self.alarmed:
                self.alarmed = False
                self._alarm.go_off(0, None)

    def die(self) -> None:
        """User code kills its own process."""
        self.prepare_kill()
        self.status = 6
        raise Killed

    def interrupt(self) -> None:
        """SIGUSR1."""
        self.alarmed = self.alarmed or self.in_user_code
        if self.in_user_code:
            self.wake()

    def prepare_kill(self) -> None:
        # Then Loop's way out for SystemExit tells nothing to anybody.
        if self._endings is not None:
            self._endings.forked = True

    def look(self) -> None:
        thread, links = self._thread, self.links
        if thread is None or links is None or not thread.lent:
            super().look()
        elif thread.talking and not self._talk_due and not self.stopped and links.ready():
            self._talk_due = True
            self.hub.after(self.hub.latency(), self._talk)

    def _lent(self, number: int) -> None:
        self.hub.after(LOOK, lambda: self._peek(number, looks=2))

    def _peek(self, number: int, *, looks: int) -> None:
        """The stream thread looks whether the same message still runs; at the second look it takes over."""
        thread = self._thread
        if not self.alive or thread is None or not thread.lent or thread.number != number:
            return
        if not self.stopped:
            looks -= 1
            thread.talking = not looks
            self._step(thread)
        if looks:
            self.hub.after(LOOK, lambda: self._peek(number, looks=looks))

    def _talk(self) -> None:
        self._talk_due = False
        thread = self._thread
        if self.alive and not self.stopped and thread is not None and thread.lent:
            self._step(thread)
        self.hub.look(self.machine)

    def _step(self, thread: SimulatedStreamThread) -> None:
        """The stream thread's turn, while user code runs."""
        hub = self.hub
        hub.running = self
        try:
            thread.step()
        except (Killed, SupervisorGone):
            hub.running = None
            self.kill()
        hub.running = None
        hub.look(self.machine)


def supervise(process: Process, machine: Machine) -> int:
    """As worker.supervisor.loop.Loop.run(), without signal handlers and control socket."""
    from worker.supervisor import signals, turn

    hub, pool, selector = process.hub, machine.pool, machine.selector
    turn.begin(pool, machine.settings, now=hub.now)
    sleep = 0.0
    while pool.exit_code is None:
        ready = selector.select(sleep)
        now = hub.now
        machine.reap(now)
        for key, mask in ready:
            machine.hear(key.data.child, key.data.ready(mask), now)
        for number in machine.take_signals():
            signals.handle(pool, number, now=now)
        for queue_set in pool.sets:
            queue_set.resolved = machine.world.resolved
        sleep = turn.step(pool, now=now, chance=hub.chance.random())
    machine.processes.close()
    return pool.exit_code
