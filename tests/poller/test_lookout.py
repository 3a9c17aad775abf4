"""A queue at its limit of messages in flight: a long poll brings nothing and no error, a short poll an error."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.poller.test_way import work_off
from tests.poller.world import World
from worker.policy.failures import FailureKind
from worker.policy.requests import Look


def filled(world: World) -> list[str]:
    """Another consumer has as many messages in flight as SQS allows, and more wait; gives its receipts."""
    world.send(*[f"{number}" for number in range(world.in_flight_limit + 5)])
    receipts: list[str] = []
    while len(receipts) < world.in_flight_limit:
        answer = world.server.call("ReceiveMessage", QueueUrl=world.url, MaxNumberOfMessages=10, VisibilityTimeout=9000)
        receipts += [message["ReceiptHandle"] for message in answer["Messages"]]
    return receipts


def looks(world: World) -> int:
    return sum(isinstance(request, Look) for request in world.sqs.requests)


def test_a_full_queue_is_told_from_an_empty_one(
    worlds: Callable[..., World], capfd: pytest.CaptureFixture[str]
) -> None:
    """A state of its own and one line with the numbers, within minutes; it ends when messages come again."""
    world = worlds(in_flight_limit=20, handlers=0)
    world.state.log.level = "warning"
    receipts = filled(world)
    world.add_handler()
    world.run(400.0, step=0.5)
    assert world.state.health.worst[0] is FailureKind.CAPACITY
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "calls_fail" in line]
    assert "20 messages are in flight and 5 wait" in line
    assert 2 <= looks(world) <= 4
    for receipt in receipts:
        world.server.call("DeleteMessage", QueueUrl=world.url, ReceiptHandle=receipt)
    assert work_off(world, seconds=15.0) == 5
    assert world.state.health.worst[0] is None


def test_a_short_poll_says_so_itself(worlds: Callable[..., World]) -> None:
    """OverLimit: the same state, at once, without a look."""
    world = worlds(in_flight_limit=20, handlers=0, wait=0.0, pause=1.0)
    filled(world)
    world.add_handler()
    world.run(30.0)
    assert world.state.health.worst[0] is FailureKind.CAPACITY
    assert looks(world) == 0


def test_an_idle_queue_is_looked_at_now_and_then(worlds: Callable[..., World]) -> None:
    """Three times in a quarter of an hour, and all is well."""
    world = worlds()
    world.run(900.0, step=1.0)
    assert looks(world) == 3
    assert world.state.health.worst[0] is None


def test_a_denied_look_changes_nothing(worlds: Callable[..., World]) -> None:
    """No state, no line, and no second try within the hour."""
    world = worlds()
    world.fault(action="GetQueueAttributes", effect="error", shape="AccessDenied", status=403)
    world.run(900.0, step=1.0)
    assert looks(world) == 1
    assert world.state.health.worst[0] is None


def test_busy_and_paused_pollers_do_not_look(worlds: Callable[..., World]) -> None:
    """Who gets messages knows that there are some; who is paused need not know."""
    world = worlds()
    for _ in range(10):
        world.send("x")
        work_off(world, seconds=60.0)
    assert looks(world) == 0
    world.state.paused = True
    world.run(900.0, step=1.0)
    assert looks(world) == 0
