"""Test process: the account of what really happened, which no process of the pool knows: faults, effects, excuses."""

from __future__ import annotations

from tests.model.world import Model, World


def may(model: Model, world: World, kind: str) -> bool:
    """Whether the budget and the scope allow a fault of this kind."""
    return world.faults > 0 and kind in model.scope.kinds


def spend(model: Model, world: World, kind: str) -> World:
    """One fault less to come."""
    model.struck[kind] += 1
    return world._replace(faults=world.faults - 1)


def excuse(world: World, *messages: int) -> World:
    """One repeated effect of each of these messages is accounted for."""
    excused = (count + (message in messages) for message, count in enumerate(world.excused))
    return world._replace(excused=tuple(excused))


def stain(world: World, *messages: int) -> World:
    """These may be left in flight by a drain: nobody knows of their leases any more."""
    return world._replace(stained=world.stained.union(messages))


def effect(world: World, message: int) -> World:
    """A handler function has done what it is there for."""
    effects = list(world.effects)
    effects[message] = min(effects[message] + 1, 4)
    return world._replace(effects=tuple(effects))
