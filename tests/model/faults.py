"""Test process: the faults that may strike a world, and what each accounts for."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model import broker, handler, receives, steps
from tests.model.accounts import effect, excuse, may, spend, stain
from tests.model.broker import Place
from tests.model.world import Hand, Model, World
from worker.message import Kind
from worker.policy.delivery import State


def faults(model: Model, world: World) -> Iterator[tuple[str, World]]:
    """Every fault that may strike now, beside those of calls and of handler functions."""
    yield from receives.losing(model, world)
    yield from _of_leases(model, world)
    if may(model, world, "handler killed"):
        for place in range(len(world.hands)):
            yield from _handler_killed(model, world, place)
    if may(model, world, "poller killed"):
        yield "POLLER KILLED", _poller_killed(model, world)


def _of_leases(model: Model, world: World) -> Iterator[tuple[str, World]]:
    for one in model.facts(world.poller).held:
        if one.lost or one.over or one.receipt in world.over:
            continue
        if may(model, world, "lapse"):
            lapsed = stain(spend(model, world, "lapse"), one.message)
            lapsed = lapsed._replace(over=lapsed.over | {one.receipt})
            if model.scope.fifo and one.state is State.DISPATCHED:
                lapsed = excuse(lapsed, one.message)  # a late ack is not counted as done
            yield f"LEASE OF {one.receipt} ENDS", model.happen(lapsed, steps.lapse, one.seq)
        stored = world.queue[one.message]
        current = broker.is_current(world.queue, one.receipt)
        if current and stored.place is Place.IN_FLIGHT and may(model, world, "second delivery"):
            shown = broker.put(world.queue, one.message, stored._replace(place=Place.VISIBLE))
            yield (
                f"SQS SHOWS m{one.message} AGAIN",
                stain(spend(model, world, "second delivery"), one.message)._replace(queue=shown),
            )


def _handler_killed(model: Model, world: World, place: int) -> Iterator[tuple[str, World]]:
    """SIGKILL: before the effect, after it, or when the outcome is in the ring and nowhere else."""
    uid, shown = world.hands[place].uid, model.shown(world.hands[place].state)
    if shown.running is None and not shown.inbox:
        return
    spent = spend(model, world, "handler killed")
    if shown.running is None:
        yield f"H{uid} KILLED, idle", _buried(model, spent, place)
        return
    message, _ = shown.running
    yield f"H{uid} KILLED before m{message} was done", _buried(model, spent, place)
    done = effect(spent, message)
    yield f"H{uid} KILLED after m{message} was done", _buried(model, excuse(done, message), place)
    hand = world.hands[place]
    state, _ = model.handlers.after(hand.state, handler.finish, Kind.ACK, False)
    yield (
        f"H{uid} KILLED when it had written that m{message} was done",
        _buried(model, model.put(done, place, hand._replace(state=state)), place),
    )


def _buried(model: Model, world: World, place: int) -> World:
    """The supervisor reaps a handler, tells the poller (a successor gets its slot first), and starts another."""
    hand = world.hands[place]
    shown = model.shown(hand.state)
    if not hand.attached:
        world = model.happen(world, steps.attach, hand.uid, model.scope.credit, shown.ring)
    dead = model.put(world, place, hand._replace(attached=False))
    dead = model.happen(dead, steps.died, hand.uid, False, shown.slot, shown.ring)
    fresh = Hand(max(one.uid for one in world.hands) + 1, model.handlers.number(handler.fresh()), False)
    return model.attach(model.put(dead, place, fresh), place)


def _poller_killed(model: Model, world: World) -> World:
    """SIGKILL: answers on their way are lost. A successor adopts before any lease ends; handlers attach later."""
    scope, facts = model.scope, model.facts(world.poller)
    known = {one.message for one in facts.held if broker.is_current(world.queue, one.receipt)}
    transit = [receipt for receipts in world.transit for receipt in receipts]
    after = stain(spend(model, world, "poller killed"), *(broker.split(receipt)[0] for receipt in transit))
    # Whether a release that was begun was made the successor cannot know: it leaves that lease to run out.
    after = stain(after, *facts.releasing)
    # What was done and could not be deleted was remembered by the dead poller alone.
    after = excuse(after, *(message for message in facts.done if world.queue[message].place is not Place.DELETED))
    queue = tuple(stored._replace(arrived=stored.arrived and one in known) for one, stored in enumerate(world.queue))
    again = tuple(transit) if scope.fifo else ()
    after = after._replace(queue=queue, transit=(), answers=(), polls=scope.polls, again=again or world.again)
    after = after._replace(ghosts=world.polls if scope.ghosts else 0)
    hands = []
    for hand in world.hands:
        state, _ = model.handlers.after(hand.state, handler.detach)
        hands.append(hand._replace(state=state, attached=False))
    after = after._replace(hands=tuple(hands))
    after = model.happen(after, steps.succeed, scope, tuple(hand.uid for hand in hands))
    if facts.draining:
        after = model.happen(after, steps.drain)
    return after
