"""Test process: seeded mistakes in the order in which things are done, and in what surrounds the poller."""

from __future__ import annotations

import pytest

from tests.model import broker, doubles, moves, receives, steps
from tests.model.mutants import mutant
from tests.model.poller import Poller
from tests.model.steps import Told
from tests.model.world import Model, World
from worker.policy.requests import Request


@mutant("ORPHAN")
def sockets_are_closed_on_drain(patch: pytest.MonkeyPatch) -> None:
    """SQS does not notice: what it answers is in flight, and nobody's."""

    def drain(model: Model, world: World) -> World:
        closed = model.happen(world._replace(polls=0, transit=()), steps.arrive, (), False, 0)
        return model.happen(closed, steps.drain)

    patch.setattr(moves, "drain", drain)


@mutant("no handler function was ever started", redrive=2, drains=False)
def a_visibility_timeout_below_the_read_timeout(patch: pytest.MonkeyPatch) -> None:
    """Messages expire on their way to us: each time a receive, for nothing."""
    right = receives.arrive

    def arrive(model: Model, world: World, place: int, *, late: bool) -> World:
        receipts = world.transit[place]
        late = late or not all(broker.holds(world.queue, receipt) for receipt in receipts)
        return right(model, world._replace(over=world.over.union(receipts if late else ())), place, late=late)

    patch.setattr(receives, "leased", lambda world: set())
    patch.setattr(receives, "arrive", arrive)


@mutant("its lease is over", kinds=("lapse",), drains=False)
def a_lease_on_a_clock_that_was_set_back(patch: pytest.MonkeyPatch) -> None:
    """The wall clock: by it the lease has long to go, and what stands in the line is given out."""

    def lapse(_poller: Poller, _seq: int) -> Told:
        return Told()

    patch.setattr(steps, "lapse", lapse)


@mutant("SQS refuses the whole batch", kinds=("second delivery",), beats=True, handlers=1, drains=False)
def batch_ids_are_message_ids(patch: pytest.MonkeyPatch) -> None:
    """Two deliveries of one message in one batch refuse it for all the others."""
    right = doubles.entry_ids

    def entry_ids(request: Request) -> list[str]:
        return [receipt.partition(".")[0] for receipt in doubles.receipts_of(request)] or right(request)

    patch.setattr(doubles, "entry_ids", entry_ids)
