"""Handlers that run several messages at once, as their poller sees them."""

from __future__ import annotations

from collections.abc import Callable

from tests.poller.world import World
from worker.policy.outcomes import Death
from worker.protocol import ControlFrame
from worker.settings import BatchSettings


def overdue(world: World) -> list[int]:
    """Sequences that the supervisor was told of since the last look, counted from 1."""
    frames = [one for one in world.orders() if one.kind == ControlFrame.OVERDUE]
    return [one.header["seq"] & 0xFFFF for one in frames]


def test_every_place_gets_a_message_whatever_its_size(worlds: Callable[..., World]) -> None:
    """128 KiB bound what waits in a handler, and not what runs."""
    world = worlds(concurrency=5)
    world.send(*(str(number) * 200_000 for number in range(7)))
    world.run(1.0)
    (handler,) = world.handlers
    for _ in range(20):  # a stream takes so much at a time
        handler.read()
        handler.link.channel.flush()
    assert len(handler.inbox) == 5


def test_of_several_late_ones_one_is_told_at_a_time(worlds: Callable[..., World]) -> None:
    """The supervisor climbs one ladder at a time; the next is told when the first is over."""
    world = worlds(concurrency=3)
    world.send("a", "b", "c")
    world.run(1.0)
    (handler,) = world.handlers
    handler.read()
    handler.start_all(5.0, 5.0, 1000.0)
    world.run(7.0)
    assert overdue(world) == [1]
    handler.finish()
    world.run(1.0)
    assert overdue(world) == [2]
    assert world.state.counts["overdue"] == 2


def test_who_was_given_more_time_and_is_late_again_is_told_again(worlds: Callable[..., World]) -> None:
    """Its first ladder may have given way to another one's."""
    world = worlds(concurrency=2)
    world.send("a")
    world.run(1.0)
    (handler,) = world.handlers
    handler.read()
    handler.start_all(5.0)
    world.run(6.0)
    assert overdue(world) == [1]
    handler.slot.move_deadline(0, world.clock.now + 5.0)
    world.run(4.0)
    assert overdue(world) == []
    world.run(2.0)
    assert overdue(world) == [1]


def test_a_kill_for_a_hung_message_starts_its_neighbours_anew(worlds: Callable[..., World]) -> None:
    """By their deadlines in the slot: who had time left goes to another handler at once, and pays no attempt."""
    world = worlds(concurrency=3, handlers=2)
    world.send("hung", "b", "c", "d", "e", "f")
    world.run(1.0)
    first, second = world.handlers
    for handler in (first, second):
        handler.read()
    bodies = first.start_all(5.0, 1000.0, 1000.0)
    second.start_all(1000.0, 1000.0, 1000.0)
    world.run(6.0)
    assert len(overdue(world)) == 1
    world.loop.dispatcher.died(first.uid, Death(overdue=True, why="handler_timeout"), world.clock.now)
    for _ in range(3):
        second.finish()
    world.run(1.0)
    second.read()
    assert sorted(parcel.body.decode() for parcel in second.inbox) == sorted(bodies[1:])
    assert [parcel.attempt for parcel in second.inbox] == [1, 1]
    assert world.ledger.counts["released"] == 1, "the hung one is hidden"
    assert world.ledger.counts["crashed"] == 0


def test_a_batch_is_not_shared_between_handlers(worlds: Callable[..., World]) -> None:
    """Two halves would be two calls."""
    world = worlds(batch=BatchSettings(size=10), handlers=2)
    world.send(*"abcdefghij")
    world.run(1.0)
    for handler in world.handlers:
        handler.read()
    assert sorted(len(handler.inbox) for handler in world.handlers) == [0, 10]


def test_who_ran_dry_for_a_suspect_goes_on_when_another_takes_it(worlds: Callable[..., World]) -> None:
    """It is left alone only as long as that serves the suspect: its places would stay empty till its longest message
    ends."""
    world = worlds(concurrency=3, handlers=2)
    world.send(*"abcdef")
    world.run(1.0)
    first, second = world.handlers
    for handler in (first, second):
        handler.read()
    first.start_all(1000.0, 1000.0)
    second.start_all(1000.0, 1000.0, 1000.0)
    world.loop.dispatcher.died(first.uid, Death(why="SIGSEGV"), world.clock.now)
    second.finish()
    world.run(1.0)
    assert second.link.alone, "nobody is empty: it runs dry"
    world.add_handler()
    world.send(*"ghij")
    world.run(1.0)
    third = world.handlers[-1]
    third.read()
    assert len(third.inbox) == 1, "a suspect, by itself"
    second.read()
    assert len(second.inbox) >= 3, "its free place was filled"
