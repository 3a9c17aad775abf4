"""Releases: on a standard queue SQS obeys old receipts too, so that a late one ends the lease of somebody else."""

from __future__ import annotations

from collections.abc import Callable

from tests.poller.world import World
from worker.policy.requests import Hide


def hides(world: World) -> list[int]:
    """The seconds of all changes of visibility that were asked for."""
    return [seconds for one in world.sqs.requests if isinstance(one, Hide) for _, seconds in one.entries]


def test_no_release_goes_out_once_the_lease_is_over(worlds: Callable[..., World]) -> None:
    """A poller that was stopped for minutes finds its drain in the control socket when it goes on."""
    world = worlds(visibility_timeout=30.0)
    world.send("a", "b")
    world.run(0.3)
    world.handlers[0].read()
    world.clock.now += 60.0
    world.loop.stopping.begin(world.clock.now + 25.0, world.clock.now)
    world.run(1.0)
    assert hides(world) == []
    assert world.ledger.counts["lost"] >= 1


def test_a_release_that_is_queued_twice_over_is_lost_once(worlds: Callable[..., World]) -> None:
    """A lease that was lost while its release stood in line has left; counted again, it would never be held again."""
    world = worlds(visibility_timeout=30.0)
    world.send("a", "b")
    world.run(0.3)
    delivery = next(one for one in world.ledger.deliveries.values() if not one.handler)
    world.ledger.release(delivery)
    world.ledger.lose(delivery)
    world.clock.now += 60.0
    world.run(1.0)
    assert world.ledger.lost_held == sum(one.lost for one in world.ledger.deliveries.values())


def test_a_successor_makes_no_release_twice(worlds: Callable[..., World]) -> None:
    """Killed between the call and its answer: whoever was given the message since has a lease that must not end."""
    world = worlds()
    world.send("a", "b")
    world.run(0.3)
    delivery = next(one for one in world.ledger.deliveries.values() if not one.handler)
    world.ledger.release(delivery)
    world.ledger.begin(world.ledger.hides.popleft())
    world.kill_poller()
    world.run(1.0)
    assert 0 not in hides(world)
    assert world.ledger.counts["lost"] == 1


def test_a_release_that_was_never_called_is_made_by_the_successor(worlds: Callable[..., World]) -> None:
    """Nobody waits for a visibility timeout without need."""
    world = worlds()
    world.send("a", "b")
    world.run(0.3)
    delivery = next(one for one in world.ledger.deliveries.values() if not one.handler)
    world.ledger.release(delivery, after=33.0)
    world.kill_poller()
    world.run(1.0)
    assert 0 in hides(world)
