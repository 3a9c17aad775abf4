"""Releases: on a standard queue SQS obeys old receipts too, so that a late one ends the lease of somebody else."""

from __future__ import annotations

import os
from collections.abc import Callable

from tests.poller.world import World
from worker.message import Kind
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


def test_a_release_whose_answer_is_lost_is_not_made_again(worlds: Callable[..., World]) -> None:
    """It comes back to us here before anybody could repeat the release; its new lease must not end by that."""
    world = worlds()
    world.send("a", "b")
    world.run(0.3)
    delivery = next(one for one in world.ledger.deliveries.values() if not one.handler)
    world.fault(action="ChangeMessageVisibilityBatch", count=1, effect="drop", when="after")
    world.ledger.release(delivery)
    world.run(10.0)
    assert hides(world) == [0]
    assert world.ledger.counts["received"] == 3
    assert world.ledger.by_id[delivery.message_id].receipt != delivery.receipt


def test_a_release_that_sqs_says_nothing_about_is_not_made_again(worlds: Callable[..., World]) -> None:
    """Neither Successful nor Failed: it may have been made. If not, the message comes back when its lease ends."""
    world = worlds(visibility_timeout=30.0)
    world.send("a", "b")
    world.run(0.3)
    delivery = next(one for one in world.ledger.deliveries.values() if not one.handler)
    world.fault(action="ChangeMessageVisibilityBatch", count=1, effect="omit_entries", share=1.0)
    world.ledger.release(delivery)
    world.run(10.0)
    assert hides(world).count(0) == 1
    assert delivery.message_id not in world.ledger.by_id
    world.run(25.0)
    assert delivery.message_id in world.ledger.by_id


def test_a_retry_whose_answer_is_lost_is_repeated_while_the_message_is_hidden_anyway(
    worlds: Callable[..., World],
) -> None:
    """Nobody can have it before the seconds of the first are over."""
    world = worlds()
    world.send("a")
    world.run(0.3)
    handler = world.handlers[0]
    handler.read()
    handler.start()
    world.fault(action="ChangeMessageVisibilityBatch", count=1, effect="drop", when="after")
    handler.finish(Kind.RETRY, after=20.0)
    world.run(10.0)
    assert hides(world) == [20, 20]
    assert world.ledger.counts["released"] == 1
    assert world.ledger.unsure == 0


def test_a_release_that_sqs_refuses_for_now_is_made_again(worlds: Callable[..., World]) -> None:
    """It was not made, and nobody shall wait for the lease to end."""
    world = worlds()
    world.send("a", "b")
    world.run(0.3)
    delivery = next(one for one in world.ledger.deliveries.values() if not one.handler)
    world.fault(action="ChangeMessageVisibilityBatch", count=1, effect="throttle")
    world.ledger.release(delivery)
    world.run(5.0)
    assert hides(world) == [0, 0]
    assert world.ledger.unsure == 0


def test_on_fifo_a_release_whose_answer_is_lost_is_made_again(worlds: Callable[..., World]) -> None:
    """An old receipt has no power there, and its group stands still till it is known."""
    world = worlds(fifo=True)
    world.send("a", "b", group="g")
    world.run(0.3)
    world.fault(action="ChangeMessageVisibilityBatch", count=1, effect="drop", when="after")
    head = next(one for one in world.ledger.deliveries.values() if one.handler)
    tail = next(one for one in world.ledger.deliveries.values() if not one.handler)
    assert head.group == tail.group
    world.ledger.release(tail)
    world.run(5.0)
    assert hides(world)[:2] == [0, 0]


def test_a_drain_that_cannot_be_sure_of_a_release_says_so(worlds: Callable[..., World]) -> None:
    """At worst the message stays hidden till its lease ends: that is not the clean end that exit code 0 stands for."""
    world = worlds(wait=1.0)
    world.send("a", "b")
    world.run(0.3)
    world.fault(action="ChangeMessageVisibilityBatch", count=1, effect="drop", when="after")
    handler = world.handlers[0]
    handler.read()
    handler.start()
    handler.finish()
    world.loop.stopping.begin(world.clock.now + 20.0, world.clock.now)
    world.run(10.0)
    assert world.loop.stopping.code == os.EX_TEMPFAIL
