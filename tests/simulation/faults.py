"""Test process: what goes wrong in a world: a seed draws which kinds of faults it has, and when each strikes."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from tests.simulation import server_faults
from tests.simulation.clogs import clog
from tests.simulation.hub import START
from tests.simulation.kills import Kills
from tests.simulation.operators import Operators
from tests.simulation.programs import HandlerProcess, PollerProcess
from tests.simulation.stops import Stops
from tests.simulation.story import Incident
from tests.simulation.victims import Victims
from worker.poller.heartbeater import DENIED_PAUSE
from worker.testing.sqs_server.faults import rule

if TYPE_CHECKING:
    from tests.simulation.world import World

#: Seconds within which faults begin, and how many of them a seed has at most.
WITHIN, MOST = (8.0, 25.0, 45.0), 12
#: How often a kind strikes compared with others.
WEIGHTS = {"swizzle clog": 3, "handler killed": 3, "poller killed": 3, "server: fail_entries": 2}


class Faults:
    """The faults of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = world.chance
        self._victims = victims = Victims(world)
        self._stops = Stops(world, victims)
        self.injected: Counter[str] = Counter()
        self.until = START
        self._kinds: dict[str, Callable[[], bool]] = {
            **Kills(world, victims).kinds(),
            **self._stops.kinds(),
            **Operators(world, victims).kinds(),
            "swizzle clog": self._clog,
            **{f"server: {name}": partial(self._server, name) for name in server_faults.KINDS},
        }

    def kinds(self) -> set[str]:
        """The names of all."""
        return set(self._kinds)

    def schedule(self, only: frozenset[str] | None = None) -> None:
        """Draw the faults of this seed: some kinds, each several times."""
        chance = self._chance
        within = chance.choice(WITHIN)
        count = chance.randint(0, MOST)
        kinds = [kind for kind in self._kinds if (chance.random() < 0.4 if only is None else kind in only)]
        self.until = START + within + 1.0
        for _ in range(count if kinds else 0):
            self._world.hub.at(START + 0.3 + within * chance.random(), self._strike(self._draw(kinds)))
        self._world.hub.at(self.until, self.heal)

    def _draw(self, kinds: list[str]) -> str:
        return self._chance.choices(kinds, [WEIGHTS.get(kind, 1) for kind in kinds])[0]

    def _strike(self, kind: str) -> Callable[[], None]:
        def strike() -> None:
            if self._kinds[kind]():
                self.injected[kind] += 1
                self._world.hub.look()

        return strike

    def heal(self) -> None:
        """All faults end, and whoever is stopped goes on."""
        world = self._world
        world.hub.tell("all faults end")
        world.server.service.plan.clear()
        for line, _ in world.lines:
            line.unstick()
        for process in list(world.hub.processes):
            self._stops.go_on(process)
            process.fuse = None
            if isinstance(process, HandlerProcess) and process.links is not None:
                process.links.clogged = False
            elif isinstance(process, PollerProcess) and hasattr(process, "selector"):
                process.selector.clogged.clear()
        for machine in world.machines:
            machine.heal()
            if machine.up:
                machine.send_signal(signal.SIGCONT)  # it may have slept through a TSTP that it has yet to see
        for incident in world.incidents:
            if incident.kind in ("stuck", "poller stopped", "host suspended"):
                incident.end = min(incident.end, world.hub.now)
        world.hub.look()

    def _clog(self) -> bool:
        poller = self._victims.poller()
        return poller is not None and clog(self._world, poller, until=self.until)

    def _server(self, kind: str) -> bool:
        world, chance = self._world, self._chance
        fields, refuses = server_faults.draw(kind, chance)
        world.hub.tell(f"server rule {fields}")
        world.server.service.plan.add([rule(fields)], world.hub.now)
        if server_faults.refuses_sends(fields):
            world.incidents.append(Incident("sends refused", world.hub.now, world.hub.now + fields["until"]))
        if refuses:
            # A refused entry ends a lease in our books; on the server it lapses later. One that is denied altogether
            # is not tried again for a while.
            pause = DENIED_PAUSE if refuses == "denied" else 2.0
            end = world.hub.now + fields["until"] + world.plan.visibility + pause
            world.incidents.append(Incident(f"changes {refuses}", world.hub.now, end))
        return True
