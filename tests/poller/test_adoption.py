"""What a poller's successor makes of records whose messages, outcomes or handlers were on their way when it died."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.poller.world import World
from worker.slots import PollerSlot


@pytest.fixture
def worlds() -> Iterator[Callable[..., World]]:
    """Makes worlds, and closes them."""
    made: list[World] = []

    def make(**options: Any) -> World:
        made.append(World(**options))
        return made[-1]

    yield make
    for world in made:
        world.close()


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
    handler.read()
    assert [parcel.body for parcel in handler.inbox] == [b"a"]
    assert [parcel.attempt for parcel in handler.inbox] == [2]
    assert counters(world)["attempts"] >= 0
