"""Several messages at once in one handler process: deaths, hangs, drains and takeovers concern each for itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.system.pool import Pool, eventually

THREADS: tuple[str, dict[str, Any]] = ("by_word_thread", {"threads": 20})
ASYNC: tuple[str, dict[str, Any]] = ("by_word_async", {"concurrency": 20})
BATCH: tuple[str, dict[str, Any]] = ("by_word_batch", {"batch": {"size": 20, "wait": 0.5}})
KINDS = pytest.mark.parametrize(("handler", "keys"), [THREADS, ASYNC], ids=["threads", "async"])


@pytest.mark.parametrize(("handler", "keys"), [THREADS, ASYNC, BATCH], ids=["threads", "async", "batch"])
def test_only_the_poison_message_is_quarantined(pools: Callable[..., Pool], handler: str, keys: dict[str, Any]) -> None:
    """All that ran beside it are suspects once, run alone, and pass; only a death alone counts."""
    pool = pools(handler, handlers=1, retry={"first": 0.1, "most": 0.5}, **keys)
    pool.send([*(f"{number} ack" for number in range(10)), "66 crash", *(f"{number} ack" for number in range(10, 20))])
    if handler != "by_word_batch":  # neighbours that run when it dies
        pool.send([f"{number} wait 0.5" for number in range(20, 30)])
    pool.start()
    count = 20 if handler == "by_word_batch" else 30
    eventually(lambda: len(pool.effects()) == count, seconds=60, why=f"the others pass, {pool.effects()}")
    eventually(lambda: pool.depth(pool.dead)[0] == 1, seconds=60, why=f"quarantine, {pool.depth(pool.dead)}")
    pool.wait_empty(seconds=10)
    assert pool.effects("start")["66"] in (3, 4), "one death in company at most, three alone"
    assert pool.stop() == 0


@KINDS
def test_a_hung_message_is_a_retry_and_its_neighbours_pay_nothing(
    pools: Callable[..., Pool], handler: str, keys: dict[str, Any]
) -> None:
    """The ladder kills their process; they run again at once, beside each other, and are no suspects."""
    pool = pools(handler, handlers=1, handler_timeout=4, retry={"first": 20, "most": 20}, receives=2, **keys)
    pool.send(["66 hang"])
    pool.start()
    eventually(lambda: pool.effects("start")["66"] == 1, seconds=20, why="it hangs")
    eventually(lambda: pool.queue()["handlers"][0]["running"][0]["seconds"] > 2.5, seconds=20, why="half of its time")
    pool.send([f"{number} wait 3.5" for number in range(10)])
    eventually(lambda: len(pool.effects()) == 10, seconds=30, why=f"the neighbours pass, {pool.effects()}")
    assert set(pool.effects("start").values()) - {1} == {2}, "they were running when their process was killed"
    log = pool.events()
    assert [event["event"] for event in log if event["event"].startswith("message_")] == ["message_overdue"]
    assert pool.depth() == (0, 1), "the hung one is hidden by its backoff"
    assert pool.depth(pool.dead) == (0, 0)
    assert pool.stop() == 0


@KINDS
def test_a_late_message_that_listens_kills_nobody(
    pools: Callable[..., Pool], handler: str, keys: dict[str, Any]
) -> None:
    """SoftTimeout, or the cancellation of a coroutine, ends it; the process lives on."""
    word = "wait 60" if handler == "by_word_async" else "spin"
    pool = pools(handler, handlers=1, handler_timeout=1, retry={"first": 30, "most": 30}, **keys)
    pool.send([f"66 {word}"])
    pool.start()
    pids = pool.pids("handlers")
    eventually(lambda: pool.queue()["counters"]["retried"] == 1, seconds=20, why="it is a retry")
    pool.send([f"{number} ack" for number in range(10)])
    eventually(lambda: len(pool.effects()) == 10, seconds=20, why="the process goes on")
    assert pool.pids("handlers") == pids
    assert pool.stop() == 0


@pytest.mark.parametrize(
    ("handler", "keys"),
    [("by_word_thread", {"threads": 100}), ("by_word_async", {"concurrency": 100})],
    ids=["threads", "async"],
)
def test_a_drain_finishes_a_hundred_that_run(pools: Callable[..., Pool], handler: str, keys: dict[str, Any]) -> None:
    """What runs ends, what waits goes back unstarted, and the exit is clean."""
    pool = pools(handler, handlers=1, **keys)
    pool.send([f"{number} wait 3" for number in range(150)])
    pool.start()
    eventually(lambda: len(pool.effects("start")) == 100, seconds=30, why="a hundred run")
    assert pool.stop() == 0
    assert pool.effects("start") == pool.effects()
    assert len(pool.effects()) == 100
    assert pool.depth() == (50, 0)


def test_a_drain_kills_what_does_not_end_and_gives_it_back(pools: Callable[..., Pool]) -> None:
    """At the deadline; nobody is charged, and the messages are visible again."""
    pool = pools("by_word_async", handlers=1, concurrency=100, wait=1, drain_timeout=9)
    pool.send([f"{number} wait 600" for number in range(100)])
    pool.start()
    eventually(lambda: len(pool.effects("start")) == 100, seconds=30, why="a hundred run")
    assert pool.stop() == 0
    assert pool.depth() == (100, 0)


@pytest.mark.parametrize(
    ("handler", "keys"),
    [("by_word_thread", {"threads": 100}), ("by_word_async", {"concurrency": 100})],
    ids=["threads", "async"],
)
def test_a_killed_poller_repeats_none_of_a_hundred(
    pools: Callable[..., Pool], handler: str, keys: dict[str, Any]
) -> None:
    """At a visibility timeout of 2 s and messages of 6 s: its successor keeps a hundred leases, and settles them."""
    pool = pools(handler, handlers=1, wait=1, **keys)
    pool.send([f"{number} wait 6" for number in range(100)])
    pool.start(unchecked={"visibility_timeout": 2.0})
    eventually(lambda: len(pool.effects("start")) == 100, seconds=30, why="a hundred run")
    (poller,) = pool.pids("pollers")
    os.kill(poller, signal.SIGKILL)
    eventually(lambda: pool.pids("pollers") not in ([], [poller]), seconds=10, why="a successor")
    eventually(lambda: len(pool.effects()) == 100, seconds=30, why=f"all done, {len(pool.effects())}")
    pool.wait_empty(seconds=20)
    assert set(pool.effects("start").values()) == {1}
    assert pool.stop() == 0


def test_a_batch_becomes_true_a_message_at_a_time(pools: Callable[..., Pool]) -> None:
    """Acks are deleted, rejects and forwards sent, exceptions and retries come again; batches are full where they can
    be."""
    pool = pools("by_word_batch", handlers=2, retry={"first": 0.1, "most": 1}, batch={"size": 10, "wait": 0.5})
    target = pool.sqs.create_queue(QueueName=f"{pool.url.rsplit('/', 1)[1]}-target")["QueueUrl"]
    pool.environment["TARGET"] = target
    words = ["ack", "reject", "forward", "retry", "raise"] * 10
    pool.send([f"{number} {word}" for number, word in enumerate(words)])
    pool.start()
    done = {str(number) for number, word in enumerate(words) if word == "ack"}
    eventually(lambda: set(pool.effects()) == done, seconds=20, why=f"acks have effects, {pool.effects()}")
    eventually(lambda: pool.depth(target)[0] == 10, seconds=20, why="forwards arrive")
    eventually(lambda: pool.depth(pool.dead)[0] == 30, seconds=60, why="rejects and retries die")
    pool.wait_empty(seconds=10)
    assert set(pool.effects().values()) == {1}
    assert pool.effects("batch-10")
    assert pool.stop() == 0


def test_a_fifo_batch_keeps_the_order_of_every_group(pools: Callable[..., Pool]) -> None:
    """It holds one message of a group at a time, whatever fails and dies."""
    pool = pools(
        "short_batch",
        fifo=True,
        visibility_timeout=30,
        retry={"first": 0.2, "most": 1},
        receives=1000,
        batch={"size": 6, "wait": 0.2},
    )
    groups = "abcdef"
    for number in range(25):
        for place, group in enumerate(groups):
            pool.send([f"{number * 10 + place} x"], group=group)
    pool.start()
    for count in range(1, 6):
        eventually(lambda: len(pool.effects()) >= 15 * count, seconds=30, why="it goes on")  # noqa: B023
        pids = pool.pids("handlers")
        if pids:
            os.kill(pids[0], signal.SIGKILL)
    eventually(lambda: len(pool.effects()) == 150, seconds=90, why=f"all effects, {len(pool.effects())}")
    pool.wait_empty(seconds=60)
    first: dict[str, list[int]] = {group: [] for group in groups}
    for line in pool.effects_file.read_text().splitlines():
        step, number, *_ = line.split()
        order = first[groups[int(number) % 10]]
        if step == "end" and int(number) not in order:
            order.append(int(number))
    assert all(order == sorted(order) for order in first.values())
    assert pool.stop() == 0
