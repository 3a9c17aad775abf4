"""`worker run --until-empty`: real pools that end by themselves."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.system.pool import Pool, eventually

#: Seconds that a test may take; most take ten.
PATIENCE = 60.0


def begin(pool: Pool) -> None:
    """Start it."""
    pool.start(ready=False, options=("--until-empty",))


def end(pool: Pool, seconds: float = PATIENCE) -> int:
    """Wait for its end, which nobody asks for; the exit code."""
    assert pool.process is not None
    return pool.process.wait(seconds)


def awaits(pool: Pool) -> str:
    """What its only poller waits for."""
    pollers = pool.queue().get("pollers")
    return str(pollers[0]["awaits"]) if pollers else ""


@pytest.mark.parametrize(
    "keys", [{"handlers": 2, "pollers": 2}, {"handlers": 1, "threads": 8}], ids=["two pollers", "threads"]
)
def test_five_hundred_messages_and_it_ends(pools: Callable[..., Pool], keys: dict[str, Any]) -> None:
    """Retries are waited for, a reject is in the dead-letter queue, each message is done once, nothing is left."""
    pool = pools("until_done", **keys)
    words = dict.fromkeys(range(0, 500, 50), "later") | {7: "reject"}
    pool.send([f"{number} {words.get(number, 'x')}" for number in range(500)])
    begin(pool)
    assert end(pool) == 0
    assert pool.effects() == dict.fromkeys((str(number) for number in range(500) if number != 7), 1)
    assert pool.effects("retry") == dict.fromkeys((str(number) for number in range(0, 500, 50)), 1)
    assert (pool.depth(), pool.depth(pool.dead)) == ((0, 0), (1, 0))
    reasons = [event["reason"] for event in pool.events() if event["event"] == "drain_started" and "reason" in event]
    assert reasons == ["every queue is empty"]
    assert not [event for event in pool.events() if event["level"] == "error"]


def test_a_fifo_queue_ends_too(pools: Callable[..., Pool]) -> None:
    """Its retries wait in the pool, in order."""
    pool = pools("until_done", fifo=True)
    for group in "ab":
        pool.send([f"{group}{number} {'later' if number == 3 else 'x'}" for number in range(20)], group=group)
    begin(pool)
    assert end(pool) == 0
    assert pool.effects() == dict.fromkeys((f"{group}{number}" for group in "ab" for number in range(20)), 1)
    assert pool.depth() == (0, 0)


def test_a_queue_that_is_empty_from_the_start_ends_soon(pools: Callable[..., Pool]) -> None:
    """Whatever its long poll is: seconds, and exit code 0."""
    pool = pools("record", wait=10, drain_timeout=25)
    began = time.monotonic()
    begin(pool)
    assert end(pool) == 0
    assert time.monotonic() - began < 20, "on a busy machine; else it is eight"


def test_what_another_consumer_holds_and_what_is_delayed_is_waited_for(pools: Callable[..., Pool]) -> None:
    """Status says so meanwhile; what comes back is handled."""
    pool = pools("record")
    pool.send(["theirs x"])
    (theirs,) = pool.sqs.receive_message(QueueUrl=pool.url, VisibilityTimeout=600)["Messages"]
    begin(pool)
    eventually(lambda: awaits(pool) == "in_flight", seconds=30, why="it waits")
    eventually(lambda: "not_empty_yet" in pool.log.read_text(), seconds=30, why="the log says so")
    pool.sqs.send_message(QueueUrl=pool.url, MessageBody="late x", DelaySeconds=12)
    handle = theirs["ReceiptHandle"]
    pool.sqs.change_message_visibility(QueueUrl=pool.url, ReceiptHandle=handle, VisibilityTimeout=0)
    eventually(lambda: pool.effects()["theirs"] == 1, seconds=30, why="it came back")
    eventually(lambda: awaits(pool) == "delayed", seconds=30, why="one is delayed")
    assert end(pool) == 0
    assert pool.effects() == {"theirs": 1, "late": 1}


def test_a_killed_poller_and_a_killed_handler_make_no_early_end(pools: Callable[..., Pool]) -> None:
    """What the dead held is done before it ends."""
    pool = pools("seconds", handlers=2, visibility_timeout=12)
    pool.send([f"{number} 1.5" for number in range(12)])
    begin(pool)
    eventually(lambda: len(pool.effects("start")) >= 2, seconds=30, why="at work")
    os.kill(pool.pids("pollers")[0], signal.SIGKILL)
    eventually(lambda: len(pool.effects()) >= 4, seconds=30, why="at work again")
    busy = [one["pid"] for one in pool.queue()["handlers"] if one["state"] == "busy"]
    os.kill(busy[0], signal.SIGKILL)
    assert end(pool) == 0
    assert set(pool.effects()) == {str(number) for number in range(12)}
    assert pool.depth() == (0, 0)


def test_a_term_wins(pools: Callable[..., Pool]) -> None:
    """It drains as ever: at once, with 0, and what waits is left in the queue."""
    pool = pools("seconds", handlers=1)
    pool.send(["1 1", "2 60"])
    begin(pool)
    eventually(lambda: pool.effects("start")["2"] == 1 or pool.effects("start")["1"] == 1, seconds=30, why="at work")
    assert pool.stop() == 0
    (reason,) = {event["reason"] for event in pool.events() if event["event"] == "drain_started" and "reason" in event}
    assert reason == "SIGTERM"


def test_all_queues_have_to_be_empty(pools: Callable[..., Pool]) -> None:
    """One that is empty from the start waits for what the other sends it, though late."""
    pool = pools("relay", handlers=1)
    second = pool.sqs.create_queue(QueueName=f"{name(pool)}-second")["QueueUrl"]
    pool.environment["TARGET"] = second
    with pool.config.open("a") as config:
        config.write(f'[queues.second]\nurl = "{second}"\nhandler = "tests.system.effects:record"\nhandlers = 1\n')
    pool.send(["1 15", "2 0"])
    begin(pool)
    assert end(pool) == 0
    assert pool.effects("relayed") == {"1": 1, "2": 1}
    assert pool.effects() == {"1": 1, "2": 1}
    assert (pool.depth(), pool.depth(second)) == ((0, 0), (0, 0))


def test_a_reload_keeps_the_word(pools: Callable[..., Pool]) -> None:
    """The new generation waits for what the old one did, and ends when that is done."""
    pool = pools("record")
    pool.send(["theirs x"])
    (theirs,) = pool.sqs.receive_message(QueueUrl=pool.url, VisibilityTimeout=600)["Messages"]
    begin(pool)
    eventually(lambda: awaits(pool) == "in_flight", seconds=30, why="it waits")
    assert pool.process is not None
    pool.process.send_signal(signal.SIGHUP)
    eventually(lambda: [one["generation"] for one in pool.queue()["pollers"]] == [2], seconds=30, why="replaced")
    eventually(lambda: awaits(pool) == "in_flight", seconds=30, why="it waits again")
    pool.sqs.delete_message(QueueUrl=pool.url, ReceiptHandle=theirs["ReceiptHandle"])
    assert end(pool) == 0


def test_a_queue_that_does_not_answer_is_never_empty(pools: Callable[..., Pool]) -> None:
    """Receives fail; once they get through, what is there is handled, and only then it ends."""
    pool = pools("record")
    pool.server.set_faults({"effect": "unavailable", "action": "ReceiveMessage", "queue": name(pool)})
    begin(pool)
    eventually(lambda: awaits(pool) == "endpoint", seconds=30, why="it is unreachable")
    pool.send(["1 x"])
    pool.server.clear_faults()
    assert end(pool) == 0
    assert pool.effects() == {"1": 1}


def test_where_looks_are_denied_it_ends_by_its_receives(pools: Callable[..., Pool]) -> None:
    """Its own retries are waited for all the same, and the log says that it is less certain."""
    pool = pools("until_done")
    denied = {"effect": "error", "shape": "AccessDenied", "status": 403, "action": "GetQueueAttributes"}
    pool.server.set_faults(denied | {"queue": name(pool)})
    pool.send(["1 x", "2 later"])
    begin(pool)
    assert end(pool) == 0
    pool.server.clear_faults()
    assert pool.effects() == {"1": 1, "2": 1}
    assert [event for event in pool.events() if event["event"] == "depth_unknown"]


def name(pool: Pool) -> str:
    """Of its queue in SQS."""
    return pool.url.rpartition("/")[2]


def test_a_handler_function_that_cannot_be_imported_is_78(pools: Callable[..., Pool]) -> None:
    """As without it."""
    pool = pools("no_such_function")
    begin(pool)
    assert end(pool) == 78
