"""Test process: SIGSTOP of every kind of process, and hosts that are suspended."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.simulation.hub import Process
from tests.simulation.story import Incident
from tests.simulation.victims import Victims

if TYPE_CHECKING:
    from tests.simulation.world import World


class Stops:
    """Each ends by itself, or when all faults end."""

    def __init__(self, world: World, victims: Victims) -> None:
        self._world = world
        self._chance = world.chance
        self._victims = victims

    def kinds(self) -> dict[str, Callable[[], bool]]:
        """By name; each tells whether it struck anybody."""
        return {
            "handler stopped": self._stop_handler,
            "poller stopped": self._stop_poller,
            "supervisor stopped": self._stop_supervisor,
            "host suspended": self._suspend_host,
        }

    def _stop_handler(self) -> bool:
        handler, seconds = self._victims.handler(), self._chance.choice((0.1, 3.0, 20.0))
        if handler is None or not self._stop(handler, seconds):
            return False
        now = self._world.hub.now
        self._world.incidents.append(Incident("handler stopped", now, now + seconds, what=handler.name))
        return True

    def _stop_supervisor(self) -> bool:
        machine = self._victims.machine()
        return self._stop(machine.supervisor if machine else None, self._chance.choice((0.1, 3.0, 15.0)))

    def _stop_poller(self) -> bool:
        poller = self._victims.poller()
        seconds = self._chance.choice((0.1, 2.0, self._world.plan.visibility * 1.5)) * (0.5 + self._chance.random())
        if poller is None or not self._stop(poller, seconds):
            return False
        now = self._world.hub.now
        self._world.incidents.append(Incident("poller stopped", now, now + seconds, poller.machine.name))
        return True

    def _suspend_host(self) -> bool:
        """A virtual machine that is paused, or a laptop that sleeps: CLOCK_BOOTTIME goes on, nothing else does."""
        machine = self._victims.machine()
        if machine is None:
            return False
        seconds = self._chance.choice((1.0, 5.0, self._world.plan.visibility * 1.5)) * (0.5 + self._chance.random())
        now = self._world.hub.now
        for process in (machine.supervisor, *machine.children.values()):
            self._stop(process, seconds)
        self._world.incidents.append(Incident("host suspended", now, now + seconds, machine.name))
        return True

    def _stop(self, process: Process | None, seconds: float) -> bool:
        if process is None or process.stopped:
            return False
        self._world.hub.tell(f"{process.name} is stopped for {seconds:.1f} s")
        process.stop()
        self._world.hub.after(seconds, lambda: self.go_on(process))
        return True

    @staticmethod
    def go_on(process: Process) -> None:
        """SIGCONT."""
        if process.stopped:
            process.go_on()
