"""Test process: what must hold in every world. Each gives what is wrong, or an empty text."""

from __future__ import annotations

from collections.abc import Callable

from tests.model.broker import GONE, Place
from tests.model.world import Model, World


def deleted_means_done(_model: Model, world: World) -> str:
    """A delete follows an effect, or the policy's record: it stands in the dead-letter queue, or was forwarded."""
    for message, stored in enumerate(world.queue):
        done = world.effects[message] or message in world.dead or message in world.sent
        if stored.place is Place.DELETED and not done:
            return f"LOST: m{message} was deleted, and nothing was done with it"
    return ""


def no_repeated_effect(_model: Model, world: World) -> str:
    """Each effect beyond the first is accounted for by a fault."""
    for message, effects in enumerate(world.effects):
        if effects > 1 + world.excused[message]:
            return f"m{message} took effect {effects} times, {world.excused[message]} repetitions have an excuse"
    return ""


def groups_run_in_order(model: Model, world: World) -> str:
    """FIFO: what runs is alone in its group, and everything before it has left the queue."""
    if not model.scope.fifo:
        return ""
    running = [shown.running[0] for hand in world.hands if (shown := model.shown(hand.state)).running is not None]
    groups = [model.scope.groups[message] for message in running]
    if len(set(groups)) != len(groups):
        return f"two of one group run at once: {running}"
    for message in running:
        for older in range(message):
            same = model.scope.groups[older] == model.scope.groups[message]
            if same and world.queue[older].place not in GONE:
                return f"m{message} runs while m{older}, which stands before it, is {world.queue[older].place}"
    return ""


def nothing_is_dead_unstarted(_model: Model, world: World) -> str:
    """Nothing reaches a dead-letter queue that no handler function was started on."""
    redriven = {message for message, stored in enumerate(world.queue) if stored.place is Place.REDRIVEN}
    if unstarted := (redriven | world.dead) - world.started:
        return f"m{min(unstarted)} is in the dead-letter queue, and no handler function was ever started on it"
    return ""


def a_drain_ends_clean(_model: Model, world: World) -> str:
    """After exit 0 nothing is in flight, and what is done is deleted, but for what a fault accounts for."""
    if world.code is None:
        return ""
    if world.code:
        return f"exit code {world.code} though the deadline is far"
    for message, stored in enumerate(world.queue):
        if message in world.stained:
            continue
        if stored.place is Place.IN_FLIGHT:
            return f"ORPHAN: the poller has exited, m{message} is in flight"
        if world.effects[message] > world.excused[message] and stored.place is not Place.DELETED:
            return f"UNSETTLED: the poller has exited, m{message} is done and not deleted"
    return ""


INVARIANTS: tuple[Callable[[Model, World], str], ...] = (
    deleted_means_done,
    no_repeated_effect,
    groups_run_in_order,
    nothing_is_dead_unstarted,
    a_drain_ends_clean,
)
