"""Test process: the calls of the poller: what SQS makes of each entry at once, and the answer that arrives later."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.model import accounts, broker, steps
from tests.model.broker import Place
from tests.model.doubles import Violation
from tests.model.facts import Started
from tests.model.world import Model, World
from worker.policy.failures import FailureKind

#: What SQS says of one entry; None: done.
Result = FailureKind | None


def starting(model: Model, world: World) -> Iterator[tuple[str, World]]:
    """The settler or the heartbeater starts its calls; each reaches SQS at once, well or with a fault."""
    facts = model.facts(world.poller)
    if facts.queued:
        yield from _started(model, world, "settle", steps.settle)
    if model.scope.beats and any(not one.lost for one in facts.held):
        yield from _started(model, world, "beat", steps.beat)


def can_start(model: Model, world: World) -> bool:
    """Whether the settler starts anything now: while a kind of call fails, one of that kind is on its way at a time."""
    return bool(model.step(world, steps.settle)[1])


def _started(model: Model, world: World, name: str, step: Any) -> Iterator[tuple[str, World]]:
    world, calls = model.step(world, step)
    reached = [(name, world)]
    for call in calls:
        reached = [after for text, before in reached for after in _reach(model, before, call, text)]
    yield from reached


def _reach(model: Model, world: World, call: Started, text: str) -> Iterator[tuple[str, World]]:
    """One request reaches SQS: every entry well, or with faults in one or more; or it fails as a whole."""
    text = f"{text}: {call.kind} {', '.join(name for name, _ in call.entries)}"
    outcomes: list[tuple[str, World, tuple[Result, ...]]] = [(text, world, ())]
    for entry in call.entries:
        outcomes = [
            (f"{before}{note}", after, (*results, result))
            for before, reached, results in outcomes
            for note, after, result in _entry(model, reached, call.kind, entry)
        ]
    for note, after, results in outcomes:
        yield note, after._replace(answers=(*after.answers, results))
    if accounts.may(model, world, "request fails"):
        failed = (FailureKind.THROTTLED,) * len(call.entries)
        spent = accounts.spend(model, world, "request fails")
        yield f"{text} (fails)", spent._replace(answers=(*spent.answers, failed))
        after = spent
        for entry in call.entries:
            after, _ = _take(model, after, call.kind, entry)
        if after != spent:
            yield f"{text} (done, but fails)", after._replace(answers=(*after.answers, failed))


def _entry(model: Model, world: World, kind: str, entry: tuple[str, int]) -> Iterator[tuple[str, World, Result]]:
    after, result = _take(model, world, kind, entry)
    yield "", after, result
    if kind == "beat":
        if accounts.may(model, world, "beat fails"):
            yield " (again)", accounts.spend(model, world, "beat fails"), FailureKind.TRANSIENT
        return
    if accounts.may(model, world, "entry again"):
        spent = accounts.spend(model, world, "entry again")
        yield " (again)", spent, FailureKind.TRANSIENT
        if result is None and after != world:
            yield " (done, but again)", _take(model, spent, kind, entry)[0], FailureKind.TRANSIENT
    if accounts.may(model, world, "entry final"):
        name, _ = entry
        spent = accounts.spend(model, world, "entry final")
        if kind != "send":
            spent = accounts.stain(spent, broker.split(name)[0])
        yield " (refused)", spent, FailureKind.INVALID


def _take(model: Model, world: World, kind: str, entry: tuple[str, int]) -> tuple[World, Result]:
    """What SQS makes of one entry."""
    name, seconds = entry
    fifo = model.scope.fifo
    if kind == "send":
        message = int(name[-1])
        if name.startswith("f"):
            return world._replace(sent=world.sent | {message}), None
        return world._replace(dead=world.dead | {message}), None
    if kind == "delete":
        queue, result = broker.delete(world.queue, name, fifo=fifo)
        if result is None and queue == world.queue:
            world = _ignored(world, name)
        return world._replace(queue=queue), result
    beat = kind == "beat"
    queue, result = broker.change(world.queue, name, seconds, fifo=fifo, beat=beat)
    if fifo and queue != world.queue and not seconds:
        _tail_first(model, world, name)
    if beat and result is FailureKind.LEASE:
        world = accounts.excuse(world, broker.split(name)[0])  # FIFO: lost, so a late ack is not counted as done
    return world._replace(queue=queue), result


def _ignored(world: World, receipt: str) -> World:
    """A standard queue ignored an old receipt and said that all is well. If the newer one has not reached us yet, the
    message is run again: SQS's own duplicate, which no consumer can tell from a new delivery.
    """
    message, _ = broker.split(receipt)
    stored = world.queue[message]
    if stored.place is Place.DELETED or stored.arrived:
        return world
    return accounts.excuse(world, message)


def _tail_first(model: Model, world: World, receipt: str) -> None:
    """Raises Violation if a head is made visible while we still hold what stands behind it.

    A lost lease brings a group in pieces, some of them twice: then it is enough that nothing of it starts.
    """
    message, _ = broker.split(receipt)
    groups = model.scope.groups
    fellows = [one for one in model.scope.messages if groups[one] == groups[message]]
    shut = any(world.queue[one].place in broker.OUT_OF_SIGHT for one in fellows if one < message)
    if shut or world.stained.intersection(fellows):
        return
    for one in model.facts(world.poller).held:
        behind = one.message in fellows and one.message > message and not one.lost
        if behind and broker.holds(world.queue, one.receipt):
            raise Violation(f"FIFO: m{message} is given back before m{one.message}, which stands behind it")


def answering(model: Model, world: World) -> Iterator[tuple[str, World]]:
    """An answer arrives."""
    calls = model.facts(world.poller).calls
    for place, (call, results) in enumerate(zip(calls, world.answers, strict=True)):
        rest = world._replace(answers=(*world.answers[:place], *world.answers[place + 1 :]))
        names = ", ".join(name for name, _ in call.entries)
        # A lease that ended behind a beat on its way was extended by it, and ended again: the answer took that long.
        late = call.kind == "beat" and any(name in world.over for name, _ in call.entries)
        yield f"answer: {call.kind} {names}", model.happen(rest, steps.answer, place, results, late)
