"""Test process: swizzle clogs: some ways of a poller get stuck one by one, and loose again in random order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from tests.simulation.hub import START
from tests.simulation.programs import HandlerProcess, PollerProcess
from tests.simulation.story import Incident

if TYPE_CHECKING:
    from tests.simulation.world import World

#: Kinds of requests whose way can be stuck, in either direction.
KINDS = ("receive", "delete", "hide", "send")
#: The share of a poller's ways that a clog hits, and seconds between two of them.
SHARE, BETWEEN = 0.3, 1.5
#: Seconds that all of them are stuck at most.
LASTS = (0.5, 4.0, 12.0)


class Way(NamedTuple):
    """How it gets stuck, and loose again."""

    stick: Callable[[], object]
    loosen: Callable[[], object]


def clog(world: World, poller: PollerProcess, *, until: float) -> bool:
    """Schedule a clog, which ends with all faults at the latest; False if it hits nothing."""
    chance, hub = world.chance, world.hub
    ways = [way for way in _ways(world, poller) if chance.random() < SHARE]
    incident = Incident("stuck", hub.now, machine=poller.machine.name)
    world.incidents.append(incident)
    at = hub.now
    for way in ways:
        hub.at(at, lambda way=way: way.stick() if hub.now < until else None)  # type: ignore[misc]  # a default binds it
        at += BETWEEN * chance.random()
    at += chance.choice(LASTS) * chance.random()
    chance.shuffle(ways)
    for way in ways:
        at += BETWEEN * chance.random()
        hub.at(at, partial(_loosen, way))
    incident.end = min(at, until)
    hub.tell(f"{poller.name} clogged till {incident.end - START:.3f}: {len(ways)} ways")
    return bool(ways)


def _loosen(way: Way) -> None:
    way.loosen()


def _ways(world: World, poller: PollerProcess) -> list[Way]:
    """Requests and answers of each kind, and both directions of each stream."""
    line, hub = poller.line, world.hub
    ways: list[Way] = []
    for kind in KINDS:
        for stuck in (line.stuck_requests, line.stuck_answers):
            ways.append(Way(partial(stuck.add, kind), partial(_then, partial(stuck.discard, kind), line.flow)))
    clogged = poller.selector.clogged
    for uid in sorted(poller.selector.uids()):
        ways.append(Way(partial(clogged.add, uid), partial(_then, partial(clogged.discard, uid), hub.look)))
    for handler in poller.machine.handlers():
        if handler.links is not None:
            ways.append(
                Way(partial(_switch, handler, True), partial(_then, partial(_switch, handler, False), hub.look))
            )
    return ways


def _switch(handler: HandlerProcess, clogged: bool) -> None:
    if handler.links is not None:
        handler.links.clogged = clogged


def _then(first: Callable[[], object], second: Callable[[], object]) -> None:
    first()
    second()
