"""Test process: everything that can happen next in a world: the steps of its processes, of SQS, and faults."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model import accounts, broker, faults, handler, receives, requests, steps
from tests.model.broker import Place
from tests.model.world import Model, World
from worker.message import Kind

#: What happens, whether it is a fault (or the order to drain), and the world after it.
Move = tuple[str, bool, World]


def moves(model: Model, world: World) -> Iterator[Move]:
    """Every next world."""
    if world.code is not None:
        return
    for name, after in _moves(model, world):
        yield name, after.faults < world.faults or name == "drain", model.tidy(after)


def _moves(model: Model, world: World) -> Iterator[tuple[str, World]]:
    if model.scope.prompt and (at_once := list(_at_once(model, world))):
        yield from at_once
        return
    yield from receives.receiving(model, world)
    yield from _poller(model, world)
    for place in range(len(world.hands)):
        yield from _handler(model, world, place)
    yield from requests.starting(model, world)
    yield from requests.answering(model, world)
    yield from _time(model, world)
    if world.faults:
        yield from faults.faults(model, world)


def _at_once(model: Model, world: World) -> Iterator[tuple[str, World]]:
    """The first thing that a process of the pool can do by itself, in all the ways in which it may come out."""
    facts = model.facts(world.poller)
    for place, hand in enumerate(world.hands):
        if not hand.attached:
            yield f"attach H{hand.uid}", model.attach(world, place)
            return
        if not model.shown(hand.state).running and model.shown(hand.state).inbox:
            yield from _handler(model, world, place)
            return
    if facts.unnoticed and (noticed := model.happen(world, steps.notice)) != world:
        yield "a lease is noticed to be over", noticed
    elif facts.queued and requests.can_start(model, world):
        yield from requests.starting(model, world)
    elif facts.ready and not facts.draining and (given := model.happen(world, steps.give)) != world:
        yield "give out", given


def _poller(model: Model, world: World) -> Iterator[tuple[str, World]]:
    facts = model.facts(world.poller)
    if facts.ready and not facts.draining:
        yield "give out", model.happen(world, steps.give)
    for seq in facts.waiting:
        yield f"a wait is over ({_name(model, world, seq)})", model.happen(world, steps.due, seq)
    if model.scope.drains and not facts.draining:
        yield "drain", drain(model, world)
    if facts.draining:
        yield "look whether it is over", model.happen(world, steps.look)
    for place, hand in enumerate(world.hands):
        if not hand.attached:
            yield f"attach H{hand.uid}", model.attach(world, place)


def drain(model: Model, world: World) -> World:
    """The supervisor orders a drain; the long polls on their way are left to return."""
    return model.happen(world, steps.drain)


def _handler(model: Model, world: World, place: int) -> Iterator[tuple[str, World]]:
    hand = world.hands[place]
    shown = model.shown(hand.state)
    if shown.running is None:
        if shown.inbox:
            message, _ = shown.inbox[0]
            world = world._replace(started=world.started | {message})
            yield f"H{hand.uid} starts m{message}", model.act(world, place, handler.start)
        return
    message, _ = shown.running
    done = accounts.effect(world, message)
    yield f"H{hand.uid} did m{message}", model.act(done, place, handler.finish, Kind.ACK, True)
    if world.faults:
        for kind in model.scope.outcomes():
            spent = accounts.spend(model, world, kind.name.lower())
            name = f"H{hand.uid} {kind.name.lower()} m{message}"
            yield name, model.act(spent, place, handler.finish, kind, True)


def _time(model: Model, world: World) -> Iterator[tuple[str, World]]:
    """Visibility ends where nobody extends it; the poller notices what its clock says is over."""
    facts = model.facts(world.poller)
    kept = {one.receipt for one in facts.held if not one.lost and one.receipt not in world.over}
    kept |= receives.leased(world)
    # Hidden for a second or more: where receives are counted, that outlasts all answers on their way.
    short = not (model.scope.redrive and world.answers)
    for message, stored in enumerate(world.queue):
        held = broker.receipt_name(message, stored.receipt) in kept
        hidden = stored.place is Place.HIDDEN and short
        if hidden or (stored.place is Place.IN_FLIGHT and not held):
            queue = broker.put(world.queue, message, stored._replace(place=Place.VISIBLE))
            yield f"m{message} becomes visible", world._replace(queue=queue)
    if facts.unnoticed:
        yield "a lease is noticed to be over", model.happen(world, steps.notice)


def _name(model: Model, world: World, seq: int) -> str:
    return next((one.receipt for one in model.facts(world.poller).held if one.seq == seq), "nobody")
