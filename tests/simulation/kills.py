"""Test process: SIGKILL of every kind of process, at moments that others can see."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.simulation.hub import Process
from tests.simulation.machine import Machine
from tests.simulation.victims import Victims

if TYPE_CHECKING:
    from tests.simulation.world import World

#: Points that a process passes before the fuse of a kill has burnt down, and points of one deed.
FUSE, AIMED = 60, 4
#: Deeds before and after which a kill may be aimed. Those that are rare are the ones that it would seldom hit.
POLLER_DEEDS = ("release", "delete", "send", "receive", "hide", "settle", "dispatch", "ready")
HANDLER_DEEDS = ("start", "finish", "frame", "reclaim")


class Kills:
    """SIGKILL: one process, several, or all of a host."""

    def __init__(self, world: World, victims: Victims) -> None:
        self._world = world
        self._chance = world.chance
        self._victims = victims

    def kinds(self) -> dict[str, Callable[[], bool]]:
        """By name; each tells whether it struck anybody."""
        return {
            "handler killed": self._kill_handler,
            "poller killed": self._kill_poller,
            "poller killed releasing": self._kill_releasing,
            "supervisor killed": self._kill_supervisor,
            "several killed": self._kill_several,
            "host lost": self._lose_host,
        }

    def _kill_handler(self) -> bool:
        return self._kill(self._victims.handler(), HANDLER_DEEDS)

    def _kill_poller(self) -> bool:
        return self._kill(self._victims.poller(), POLLER_DEEDS)

    def _kill(self, process: Process | None, deeds: tuple[str, ...]) -> bool:
        """At once, or at one of the next moments at which it does something that others can see."""
        if process is None:
            return False
        draw = self._chance.random()
        if draw < 0.2:
            self._world.hub.tell(f"{process.name} is killed")
            process.kill()
        elif draw < 0.5:
            process.aim, process.fuse = "", self._chance.randrange(FUSE)
        else:
            process.aim, process.fuse = self._chance.choice(deeds), self._chance.randrange(AIMED)
        return True

    def _kill_releasing(self) -> bool:
        """Before or after it gives messages back: whether it did, its successor cannot know."""
        poller = self._victims.poller()
        if poller is None:
            return False
        poller.aim, poller.fuse = "release", self._chance.randrange(2)
        return True

    def _kill_several(self) -> bool:
        """Some or all children of one machine at one moment."""
        machine = self._victims.machine()
        if machine is None:
            return False
        share = self._chance.choice((0.5, 1.0))
        for child in list(machine.children.values()):
            if self._chance.random() < share:
                self._world.hub.tell(f"{child.name} is killed with others")
                child.kill()
        return True

    def _lose_host(self) -> bool:
        """The power fails, or the host is taken away: all is gone at once."""
        machine = self._victims.machine()
        if machine is None:
            return False
        self._kill_supervisor_of(machine)
        for child in list(machine.children.values()):
            child.kill()
        return True

    def _kill_supervisor(self) -> bool:
        machine = self._victims.machine()
        if machine is None:
            return False
        self._kill_supervisor_of(machine)
        return True

    def _kill_supervisor_of(self, machine: Machine) -> None:
        self._world.hub.tell(f"{machine.name} supervisor is killed")
        machine.supervisor.kill()
        self._world.hub.after(0.2 + 2.0 * self._chance.random(), lambda: self._world.replace(machine))
