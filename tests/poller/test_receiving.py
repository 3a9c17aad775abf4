"""Receives as the supervisor sees them: it replaces a poller whose receives do not come back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.poller.test_way import work_off
from tests.poller.world import World
from worker.leases import ATTEMPTS
from worker.policy.requests import Receive
from worker.policy.watch import stuck


def verdict(world: World) -> str:
    """What the supervisor says of the poller's slot now."""
    facts = world.slot.look()
    return stuck(
        progress=facts.progress,
        received_at=facts.received_at,
        quiet_until=facts.quiet_until,
        fair_from=0.0,
        now=world.clock.now,
        visibility_timeout=world.settings.visibility_timeout,
        wait=world.settings.wait,
    )


def test_a_poller_that_receives_again_after_a_long_message_is_not_stuck(worlds: Callable[..., World]) -> None:
    """Its line was full for minutes: the receive that it then sends has all of its time from there."""
    world = worlds(handler_timeout=1000.0)
    world.send(*[f"{n}" for n in range(10)])
    world.run(0.3)
    (handler,) = world.handlers
    handler.read()
    handler.start()
    world.run(120.0, step=0.5)
    assert verdict(world) == ""
    handler.finish()
    for _ in range(200):
        world.run(0.05)
        handler.read()
        while handler.inbox:
            handler.start()
            handler.finish()
        assert verdict(world) == ""
    assert world.depth() == (0, 0)


def test_a_receive_that_never_comes_back_is_noticed(worlds: Callable[..., World]) -> None:
    """Three waits of patience, counted from when it could be sent at all."""
    world = worlds()
    world.run(0.3)
    world.sqs.answers = list  # type: ignore[method-assign]  # its receive never ends
    world.run(40.0, step=0.5)
    assert verdict(world) == ""
    world.run(30.0, step=0.5)
    assert "no completed receive" in verdict(world)


@pytest.mark.parametrize("fit", [1, 2, 9, 32])
def test_bodies_as_large_as_the_whole_line_are_received_all_the_same(worlds: Callable[..., World], fit: int) -> None:
    """Few fit at a time: a poller that waited for room for half a line of them waited for ever."""
    world = worlds(ready_bytes=fit * 50_000, handlers=2)
    world.send(*[f"{number:_<50000}" for number in range(30)])
    assert work_off(world, seconds=20.0) == 30
    assert world.depth() == (0, 0)


def test_every_receive_of_a_fifo_queue_has_an_attempt_id(worlds: Callable[..., World]) -> None:
    """A killed poller's receives can all be asked again: no more are sent than its table can remember."""
    world = worlds(fifo=True, polls=64, max_messages=1, ready_messages=190, round_trip=0.2, handlers=4)
    for number in range(400):
        world.send(f"{number}", group=f"g{number}")
    most = 0
    for _ in range(200):
        world.run(0.05)
        most = max(most, world.sqs.receiving)
        for handler in world.handlers:
            handler.read()
            while handler.inbox:
                handler.start()
                handler.finish()
    receives = [request for request in world.sqs.requests if isinstance(request, Receive)]
    assert most == ATTEMPTS
    assert all(request.attempt for request in receives)
