"""Test process: whom a fault strikes: any living process of any machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.machine import Machine
from tests.simulation.programs import HandlerProcess, PollerProcess

if TYPE_CHECKING:
    from tests.simulation.world import World


class Victims:
    """Draws them; None where there is none."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = world.chance

    def machine(self) -> Machine | None:
        machines = [machine for machine in self._world.machines if machine.up]
        return self._chance.choice(machines) if machines else None

    def handler(self) -> HandlerProcess | None:
        machine = self.machine()
        handlers = machine.handlers() if machine else []
        return self._chance.choice(handlers) if handlers else None

    def poller(self) -> PollerProcess | None:
        machine = self.machine()
        pollers = machine.pollers() if machine else []
        return self._chance.choice(pollers) if pollers else None
