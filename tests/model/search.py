"""Test process: searches all worlds that can come of one, breadth first: the first violation is the shortest."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.model.broker import GONE
from tests.model.invariants import INVARIANTS
from tests.model.moves import moves
from tests.model.scope import Scope
from tests.model.world import Model, World

#: What is wrong with a search that was not finished.
BOUND = "the bound of worlds is reached"
#: After so many worlds a search tells how far it is.
WATCHED = 5_000


@dataclass
class Found:
    """What a search came to."""

    worlds: int = 0
    moves: int = 0
    pollers: int = 0  #: states of the poller among them
    struck: dict[str, int] = field(default_factory=dict)  #: how often each kind of fault struck
    wrong: str = ""  #: what does not hold
    trace: list[str] = field(default_factory=list)  #: the shortest way there

    def __str__(self) -> str:
        size = f"{self.worlds} worlds, {self.moves} moves, {self.pollers} states of the poller"
        steps = "".join(f"\n  {number}. {name}" for number, name in enumerate(self.trace, 1))
        return f"{self.wrong or 'holds'} [{size}]{steps}"


def search(scope: Scope, *, most: int = 400_000, watch: Callable[[int], None] | None = None) -> Found:
    """Explore until something is wrong, or there is no world left. `most`: a bound, reaching it is wrong too.

    `watch` hears now and then how many worlds there are so far.
    """
    with _no_garbage_collection():
        return _searched(scope, most, watch)


def _searched(scope: Scope, most: int, watch: Callable[[int], None] | None) -> Found:
    model = Model(scope)
    exploration = _Exploration(model, most, watch)
    exploration.run()
    if not exploration.found.wrong:
        exploration.all_can_finish()
    found = exploration.found
    found.worlds, found.pollers, found.struck = len(exploration.worlds), len(model.pollers), dict(model.struck)
    return found


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """All that a search makes is kept to its end; the collector would walk it again and again, and is called once."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect()


class _Exploration:
    def __init__(self, model: Model, most: int, watch: Callable[[int], None] | None) -> None:
        self.model = model
        self.most = most
        self.watch = watch
        self.found = Found()
        first = model.tidy(model.first())
        self.worlds: list[World] = [first]
        self.numbers: dict[World, int] = {first: 0}
        self.came_by: list[tuple[int, str]] = [(-1, "")]
        self.before: list[list[int]] = [[]]  #: by moves that are neither faults nor the order to drain

    def run(self) -> None:
        line = deque([0])
        while line and not self.found.wrong:
            number = line.popleft()
            try:
                for name, forced, after in moves(self.model, self.worlds[number]):
                    self.found.moves += 1
                    known = self.numbers.get(after)
                    if known is None:
                        known = self._add(after, number, name)
                        line.append(known)
                    if not forced:
                        self.before[known].append(number)
                    if self.found.wrong:
                        return
            except Exception as error:  # noqa: BLE001 - whatever the shipped code raises is a finding
                self._wrong(f"{type(error).__name__}: {error}", number)

    def _add(self, world: World, parent: int, name: str) -> int:
        number = self.numbers[world] = len(self.worlds)
        self.worlds.append(world)
        self.came_by.append((parent, name))
        self.before.append([])
        for invariant in INVARIANTS:
            if wrong := invariant(self.model, world):
                self._wrong(wrong, number)
        if number >= self.most:
            self._wrong(BOUND, number)
        if self.watch is not None and number % WATCHED == 0:
            self.watch(number)
        return number

    def all_can_finish(self) -> None:
        """From every world, without another fault, all work can be finished; and a drain, once begun, can end."""
        good = [number for number, world in enumerate(self.worlds) if self._finished(world)]
        reached = set(good)
        while good:
            for number in self.before[good.pop()]:
                if number not in reached:
                    reached.add(number)
                    good.append(number)
        stuck = next((number for number in range(len(self.worlds)) if number not in reached), None)
        if stuck is not None:
            count = len(self.worlds) - len(reached)
            self._wrong(f"STUCK: from {count} worlds the work cannot be finished", stuck)

    def _finished(self, world: World) -> bool:
        if self.model.facts(world.poller).draining:
            return world.code is not None
        return all(stored.place in GONE for stored in world.queue)

    def _wrong(self, wrong: str, number: int) -> None:
        self.found.wrong = wrong
        while number > 0:
            number, name = self.came_by[number]
            self.found.trace.append(name)
        self.found.trace.reverse()
