"""Test process: long polls: what SQS answers, its arrival, and the faults on the way."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model import broker, steps
from tests.model.accounts import may, spend, stain
from tests.model.broker import Place
from tests.model.world import Model, World


def receiving(model: Model, world: World) -> Iterator[tuple[str, World]]:
    """SQS answers a long poll, and the answer arrives."""
    scope, facts = model.scope, model.facts(world.poller)
    if world.polls:
        for messages in broker.deliverable(world.queue, scope.groups, fifo=scope.fifo):
            yield f"SQS gives {_list(messages)}", _given(model, world, messages)
        if facts.draining:
            rest = world._replace(polls=world.polls - 1)
            yield "an empty poll returns", model.happen(rest, steps.arrive, (), False, rest.polls + len(rest.transit))
        if world.again and all(broker.holds(world.queue, receipt) for receipt in world.again):
            transit = (*world.transit, world.again)
            yield "SQS gives the same again", world._replace(polls=world.polls - 1, transit=transit, again=())
    if world.ghosts:
        for messages in broker.deliverable(world.queue, scope.groups, fifo=scope.fifo):
            yield f"SQS gives {_list(messages)} to the dead poller", _wasted(model, world, messages)
    for place in range(len(world.transit)):
        receipts = world.transit[place]
        yield f"{_list(receipts)} arrive", arrive(model, world, place, late=False)


def _given(model: Model, world: World, messages: tuple[int, ...]) -> World:
    queue, receipts = world.queue, []
    for message in messages:
        number = _free_number(model, world, message)
        queue = broker.receive(queue, message, number, redrive=model.scope.redrive)
        if queue[message].place is Place.IN_FLIGHT:
            receipts.append(broker.receipt_name(message, number))
    if not receipts:
        return world._replace(queue=queue)
    return world._replace(queue=queue, polls=world.polls - 1, transit=(*world.transit, tuple(receipts)))


def _wasted(model: Model, world: World, messages: tuple[int, ...]) -> World:
    """SQS has not noticed yet that nobody waits for this long poll. Its attempt id is sent again by the successor."""
    given = _given(model, world, messages)
    receipts = given.transit[-1] if len(given.transit) > len(world.transit) else ()
    again = receipts if model.scope.fifo else ()
    wasted = given._replace(
        polls=world.polls, transit=world.transit, ghosts=world.ghosts - 1, again=again or world.again
    )
    return stain(wasted, *messages)


def _free_number(model: Model, world: World, message: int) -> int:
    """The smallest number of which no receipt is about."""
    used = {broker.split(receipt) for receipt in model.receipts(world)}
    number = 1
    while (message, number) in used:
        number += 1
    return number


def arrive(model: Model, world: World, place: int, *, late: bool) -> World:
    """An answer of a long poll reaches the poller; it polls again unless it drains."""
    scope, receipts = model.scope, world.transit[place]
    transit = (*world.transit[:place], *world.transit[place + 1 :])
    polls = world.polls + (not model.facts(world.poller).draining)
    came, queue = [], world.queue
    for receipt in receipts:
        message, _ = broker.split(receipt)
        came.append((message, receipt, scope.groups[message], max(1, queue[message].receives)))
        if broker.is_current(queue, receipt):
            queue = broker.put(queue, message, queue[message]._replace(arrived=True))
    world = world._replace(transit=transit, polls=polls, queue=queue)
    return model.happen(world, steps.arrive, tuple(came), late, polls + len(transit))


def leased(world: World) -> set[str]:
    """Receipts on their way: a visibility timeout outlasts the longest wait for an answer, so none of them expires."""
    return {receipt for receipts in world.transit for receipt in receipts}


def losing(model: Model, world: World) -> Iterator[tuple[str, World]]:
    """An answer is lost on its way, or comes when its leases are over."""
    for place, receipts in enumerate(world.transit):
        messages = {broker.split(receipt)[0] for receipt in receipts}
        if may(model, world, "receive lost"):
            rest = (*world.transit[:place], *world.transit[place + 1 :])
            polls = world.polls + (not model.facts(world.poller).draining)
            lost = stain(spend(model, world, "receive lost"), *messages)._replace(transit=rest, polls=polls)
            if model.scope.fifo:
                lost = lost._replace(again=receipts)
            yield "THE ANSWER IS LOST", model.happen(lost, steps.arrive, (), False, polls + len(rest))
        if may(model, world, "response late"):
            late = stain(spend(model, world, "response late"), *messages)
            late = late._replace(over=late.over.union(receipts))
            yield "THE ANSWER IS LATE", arrive(model, late, place, late=True)


def _list(things: tuple[object, ...]) -> str:
    return ", ".join(f"m{one}" if isinstance(one, int) else str(one) for one in things)
