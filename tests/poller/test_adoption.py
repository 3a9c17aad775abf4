"""What a poller's successor makes of records whose messages, outcomes or handlers were on their way when it died."""

from __future__ import annotations

from collections.abc import Callable

from tests.poller.world import PlayedHandler, World
from worker.message import Kind
from worker.policy.outcomes import Death
from worker.protocol import Outcome, send_outcomes
from worker.slots import PollerSlot


def counters(world: World) -> dict[str, int]:
    """What the newest poller shows of itself."""
    world.loop.publish(world.clock.now)
    slot: PollerSlot = world.slot
    return slot.look().counters


def test_a_message_that_died_in_the_stream_comes_back(worlds: Callable[..., World]) -> None:
    """Written as given out, and never read by its handler: the successor takes it back, and goes on showing itself."""
    world = worlds()
    world.send("a")
    world.run(0.3)
    (handler,) = world.handlers
    handler.channel.receive()  # half a frame dies with the stream; the handler knows nothing of the message
    world.kill_poller()
    world.run(0.3)
    assert world.ledger.counts["released"] == 1
    assert counters(world)["attempts"] >= 0


def second_start(worlds: Callable[..., World]) -> tuple[World, PlayedHandler]:
    """A FIFO message that was retried in the pool runs again, in the handler whose ring still tells the retry."""
    world = worlds(fifo=True)
    world.send("a", group="g")
    world.run(0.3)
    (handler,) = world.handlers
    handler.read()
    handler.start()
    handler.finish(Kind.RETRY, after=0.0)
    world.run(0.3)
    handler.read()
    handler.start()
    assert [parcel.attempt for parcel in handler.inbox] == [2]
    return world, handler


def test_a_retry_of_an_earlier_start_is_not_the_outcome_of_the_last(worlds: Callable[..., World]) -> None:
    """The successor reads both from the ring: what the second start did is done, and is deleted."""
    world, handler = second_start(worlds)
    handler.finish(tell=False)
    world.kill_poller()
    world.run(0.3)
    assert world.ledger.counts["deleted"] == 1
    assert world.depth() == (0, 0)


def test_a_retry_that_is_told_again_leaves_the_running_start_alone(worlds: Callable[..., World]) -> None:
    """A handler repeats what a dead poller may not have read; the message, released while it runs, would run twice."""
    world, handler = second_start(worlds)
    world.kill_poller()
    send_outcomes(handler.channel, [], [Outcome(handler.inbox[0].seq, Kind.RETRY, 0.0, attempt=1)])
    world.run(0.3)
    assert world.ledger.counts["released"] == 0
    handler.finish()
    world.run(0.3)
    assert world.depth() == (0, 0)


def test_a_death_in_the_second_start_is_no_retry(worlds: Callable[..., World]) -> None:
    """Else a message that kills its handlers would never be quarantined."""
    world, handler = second_start(worlds)
    world.loop.dispatcher.died(handler.uid, Death(why="signal 11"), world.clock.now)
    assert world.ledger.counts["crashed"] == 1


def test_a_second_start_that_died_in_the_stream_comes_back(worlds: Callable[..., World]) -> None:
    """The ring names its sequence, but for the first start: the handler does not have it."""
    world = worlds(fifo=True)
    world.send("a", group="g")
    world.run(0.3)
    (handler,) = world.handlers
    handler.read()
    handler.start()
    handler.finish(Kind.RETRY, after=0.0)
    world.run(0.3)
    handler.channel.receive()
    world.kill_poller()
    world.run(0.3)
    assert world.ledger.counts["released"] == 1
