"""Test process: a poller finds out that its queue is empty; see worker/poller/emptiness.py."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.poller.test_way import work_off
from tests.poller.world import World
from worker.message import Kind
from worker.policy.requests import Look
from worker.slots import PollerFacts

Worlds = Callable[..., World]


def emptying(worlds: Worlds, **options: object) -> World:
    """A world whose pool is to end when its queue is empty."""
    world = worlds(**{"wait": 1.0, **options})
    world.state.until_empty = True
    return world


def facts(world: World) -> PollerFacts:
    """What its slot says; here no selector wakes the loop to publish it."""
    world.loop.publish(world.clock.now)
    return world.slot.look()


def empty_within(world: World, seconds: float) -> float | None:
    """Seconds until the slot says so, in a quarter of a second more or less; None: not within so many."""
    start = world.clock.now
    while world.clock.now < start + seconds:
        world.run(0.25)
        if facts(world).empty_since:
            return world.clock.now - start
    return None


def test_an_empty_queue_is_known_within_seconds(worlds: Worlds) -> None:
    """Three receives of a second, two looks five seconds apart."""
    world = emptying(worlds)
    taken = empty_within(world, 12.0)
    assert taken is not None
    assert 6.0 <= taken < 8.0
    assert facts(world).awaits == ""


def test_who_waits_for_other_queues_sleeps(worlds: Worlds) -> None:
    """A poller whose queue is empty wakes for its looks and receives, and not in between."""
    world = emptying(worlds)
    assert empty_within(world, 12.0) is not None
    for _ in range(60):
        world.run(1.0)
        assert facts(world).awaits == ""
        assert world.loop.emptiness.step(world.clock.now) > 0.0


def test_without_until_empty_nobody_asks(worlds: Worlds) -> None:
    """An idle poller costs no more than before."""
    world = worlds(wait=1.0)
    assert empty_within(world, 30.0) is None
    assert not [one for one in world.sqs.requests if isinstance(one, Look)]


@pytest.mark.parametrize("fifo", [False, True])
def test_it_is_empty_once_all_is_done(worlds: Worlds, fifo: bool) -> None:
    """Not while messages are held, and counted from the last of them."""
    world = emptying(worlds, fifo=fifo)
    world.send(*(str(number) for number in range(30)), group="g" if fifo else "")
    assert empty_within(world, 15.0) is None
    assert facts(world).awaits == "held"
    work_off(world, seconds=10.0)
    assert empty_within(world, 15.0) is not None
    found = facts(world)
    assert found.empty_since > found.busy_until > 1000.0
    assert world.depth() == (0, 0)


def test_a_retry_is_waited_for(worlds: Worlds) -> None:
    """It is hidden in SQS, and held by nobody."""
    world = emptying(worlds)
    world.send("again")
    world.run(0.5)
    (handler,) = world.handlers
    handler.read()
    handler.start()
    handler.finish(Kind.RETRY, after=30.0)
    assert empty_within(world, 25.0) is None
    assert facts(world).awaits == "hidden"
    assert not [one for one in world.sqs.requests if isinstance(one, Look)], "it knows when, and need not ask"
    world.run(8.0)
    assert facts(world).awaits == "held"
    work_off(world, seconds=5.0)
    assert empty_within(world, 15.0) is not None


def test_a_retry_whose_answer_is_lost_is_waited_for(worlds: Worlds) -> None:
    """It is held until another try is confirmed; here nobody can look."""
    world = emptying(worlds)
    world.fault(action="GetQueueAttributes", effect="error", shape="AccessDenied", status=403)
    world.fault(action="ChangeMessageVisibilityBatch", count=1, effect="drop", when="after")
    world.send("again")
    world.run(0.5)
    (handler,) = world.handlers
    handler.read()
    handler.start()
    handler.finish(Kind.RETRY, after=40.0)
    assert empty_within(world, 38.0) is None
    assert work_off(world, seconds=5.0) == 1
    assert empty_within(world, 20.0) is not None


def test_a_release_that_sqs_may_not_have_made_is_waited_for(worlds: Worlds) -> None:
    """It is not made again, and the message may be hidden till its lease ends; here nobody can look."""
    world = emptying(worlds, visibility_timeout=60.0)
    world.fault(action="GetQueueAttributes", effect="error", shape="AccessDenied", status=403)
    world.fault(action="ChangeMessageVisibilityBatch", count=1, effect="drop", when="before")
    world.send("again")
    world.run(0.5)
    (handler,) = world.handlers
    handler.read()
    handler.start()
    handler.finish(Kind.RETRY, after=0.0)
    assert empty_within(world, 55.0) is None
    assert facts(world).awaits == "hidden"
    assert work_off(world, seconds=10.0) == 1
    assert empty_within(world, 20.0) is not None


def test_others_are_waited_for(worlds: Worlds, capfd: pytest.CaptureFixture[str]) -> None:
    """Messages in flight at another consumer, and delayed ones; the log says so now and then."""
    world = emptying(worlds, handlers=0)
    world.state.log.level = "info"
    world.send("theirs")
    answer = world.server.call("ReceiveMessage", QueueUrl=world.url, VisibilityTimeout=600)
    world.server.call("SendMessage", QueueUrl=world.url, MessageBody="late", DelaySeconds=100)
    world.add_handler()
    assert empty_within(world, 70.0) is None
    assert facts(world).awaits == "in_flight"
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    told = [(one["awaits"], one["in_flight"], one["delayed"]) for one in lines if one["event"] == "not_empty_yet"]
    assert told == [("in_flight", 1, 1), ("in_flight", 1, 1)], "after five seconds, and once a minute"
    (message,) = answer["Messages"]
    world.server.call("DeleteMessage", QueueUrl=world.url, ReceiptHandle=message["ReceiptHandle"])
    world.run(6.0)
    assert facts(world).awaits == "delayed"
    work_off(world, seconds=40.0)
    assert empty_within(world, 15.0) is not None


def test_a_queue_that_cannot_be_reached_is_not_empty(worlds: Worlds) -> None:
    """However long it fails; once it answers again it takes as long as ever."""
    world = emptying(worlds)
    world.fault(action="ReceiveMessage", effect="error", shape="ServiceUnavailable", status=503, until=60)
    assert empty_within(world, 55.0) is None
    assert facts(world).awaits == "endpoint"
    assert empty_within(world, 60.0) is not None


def test_where_looks_are_denied_receives_have_to_do(worlds: Worlds, capfd: pytest.CaptureFixture[str]) -> None:
    """One line says that it is less certain."""
    world = emptying(worlds)
    world.state.log.level = "warning"
    world.fault(action="GetQueueAttributes", effect="error", shape="AccessDenied", status=403)
    taken = empty_within(world, 30.0)
    assert taken is not None
    assert 9.0 <= taken < 14.0
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "depth_unknown" in line]
    assert "receives that bring nothing have to do" in line


def test_a_paused_poller_knows_nothing(worlds: Worlds) -> None:
    """Messages may have come meanwhile."""
    world = emptying(worlds)
    assert empty_within(world, 12.0) is not None
    world.state.paused = True
    world.run(1.0)
    assert facts(world).empty_since == 0.0
    world.state.paused = False
    assert empty_within(world, 12.0) is not None
