"""What real handler processes make of real messages: every outcome, every death, every hang."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import psutil

from tests.system.pool import Pool, eventually


def test_every_outcome_becomes_true_in_sqs(pools: Callable[..., Pool]) -> None:
    """Ack, retry, reject, forward, and an exception; text that user code prints corrupts nothing."""
    pool = pools("by_word", retry={"first": 0.1, "most": 1})
    target = pool.sqs.create_queue(QueueName=f"{pool.url.rsplit('/', 1)[1]}-target")["QueueUrl"]
    pool.environment["TARGET"] = target
    words = ["ack", "reject", "forward", "print", "retry", "raise"] * 5
    pool.send([f"{number} {word}" for number, word in enumerate(words)])
    pool.start()
    done = {str(number) for number, word in enumerate(words) if word in ("ack", "print")}
    eventually(lambda: set(pool.effects()) == done, seconds=20, why=f"acks have effects, {pool.effects()}")
    eventually(lambda: pool.depth(target)[0] == 5, seconds=20, why="forwards arrive")
    # Rejects are there at once; retries and exceptions follow when their receive count is used up.
    eventually(lambda: pool.depth(pool.dead)[0] == 15, seconds=60, why="rejects and retries die")
    pool.wait_empty(seconds=10)
    assert pool.stop() == 0
    counters = pool.events()[-1]
    assert counters["event"] == "drain_finished"
    assert all(count == 1 for count in pool.effects().values())


def test_exit_in_user_code_is_a_death_and_ends_in_quarantine(pools: Callable[..., Pool]) -> None:
    """exit(0), os._exit(0) and abort() are never acks; the third death alone sends it to the dead-letter queue."""
    pool = pools("by_word", retry={"first": 0.1, "most": 1}, handlers=2)
    words = ["exit", "_exit", "crash"]
    pool.send([f"{number} {word}" for number, word in enumerate(words)])
    pool.send([f"{number} ack" for number in range(10, 60)])
    pool.start()
    eventually(lambda: len(pool.effects()) == 50, seconds=30, why=f"neighbours are not held up, {pool.effects()}")
    eventually(lambda: pool.depth(pool.dead)[0] == 3, seconds=60, why=f"quarantine, {pool.depth(pool.dead)}")
    pool.wait_empty(seconds=10)
    assert pool.effects("start")["2"] == 3, "three deaths, then quarantine"
    assert max(pool.effects().values()) == 1
    assert pool.stop() == 0


def test_a_hung_handler_is_killed_and_its_message_retried(pools: Callable[..., Pool]) -> None:
    """At handler_timeout; the lease is kept till the process is reaped, so nobody else ran it meanwhile."""
    pool = pools("by_word", handler_timeout=2, retry={"first": 0.1, "most": 0.2}, handlers=1)
    pool.send(["1 hang"])
    pool.start()
    eventually(lambda: pool.effects("start")["1"] >= 2, seconds=30, why="it starts again after the kill")
    assert any(event["event"] == "message_overdue" for event in pool.events())
    pool.process.kill()


def test_a_stopped_handler_is_killed_too(pools: Callable[..., Pool]) -> None:
    """SIGSTOP while it runs: no signal reaches its code, SIGKILL does."""
    pool = pools("seconds", handler_timeout=3, retry={"first": 0.1, "most": 0.2}, handlers=1, spares=0)
    pool.send(["1 1"])
    pool.start()
    eventually(lambda: pool.effects("start")["1"] == 1, seconds=20, why="it runs")
    (pid,) = pool.pids("handlers")
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: pool.effects()["1"] == 1, seconds=40, why="another process does it")
    assert pool.pids("handlers") != [pid]
    assert pool.stop() == 0


def test_a_killed_pollers_work_goes_on_without_a_duplicate(pools: Callable[..., Pool]) -> None:
    """Handlers run 5 s messages at a visibility timeout of 2 s while their poller is killed."""
    pool = pools("seconds", handlers=2, wait=1)
    pool.send([f"{number} 5" for number in range(4)])
    pool.start(unchecked={"visibility_timeout": 2.0})
    eventually(lambda: len(pool.effects("start")) == 2, seconds=20, why="two run")
    for _ in range(2):
        (poller,) = pool.pids("pollers")
        os.kill(poller, signal.SIGKILL)
        eventually(lambda: pool.pids("pollers") not in ([], [poller]), seconds=10, why="a successor")  # noqa: B023
        time.sleep(1.5)  # the second kill comes in the middle of the successor's work
    eventually(lambda: len(pool.effects()) == 4, seconds=30, why="all done")
    pool.wait_empty(seconds=10)
    assert set(pool.effects("start").values()) == {1}
    assert pool.stop() == 0


def test_a_stopped_poller_is_replaced_before_its_leases_end(pools: Callable[..., Pool]) -> None:
    """No progress for a third of the visibility timeout: the supervisor kills it, a successor goes on."""
    pool = pools("seconds", handlers=1, wait=1, visibility_timeout=12)
    pool.send(["1 10"])
    pool.start()
    eventually(lambda: pool.effects("start")["1"] == 1, seconds=20, why="it runs")
    (poller,) = pool.pids("pollers")
    os.kill(poller, signal.SIGSTOP)
    eventually(lambda: pool.pids("pollers") not in ([], [poller]), seconds=11, why="a successor")
    eventually(lambda: pool.effects()["1"] == 1, seconds=30, why="done")
    pool.wait_empty(seconds=10)
    assert pool.effects("start")["1"] == 1
    assert pool.stop() == 0


def test_bodies_of_a_mebibyte_pass(pools: Callable[..., Pool]) -> None:
    """Largest bodies, several in flight."""
    pool = pools("record", handlers=2)
    for number in range(30):
        body = f"{number} "
        pool.sqs.send_message(QueueUrl=pool.url, MessageBody=body + "x" * (1024 * 1024 - len(body)))
    pool.start()
    eventually(lambda: len(pool.effects()) == 30, seconds=60, why=f"all effects, {len(pool.effects())}")
    pool.wait_empty(seconds=10)
    assert set(pool.effects().values()) == {1}
    assert pool.stop() == 0


def test_a_flood_of_large_bodies_stays_within_its_memory(pools: Callable[..., Pool]) -> None:
    """120 MiB of them wait for slow handlers: a poller holds `ready_bytes` and what one receive may bring beyond it, a
    handler one message at a time."""
    pool = pools("tests.system.hard_cases:keep", handlers=2, ready_bytes=2 * 1024 * 1024)
    pool.start()
    processes = [psutil.Process(pid) for kind in ("pollers", "handlers") for pid in pool.pids(kind)]
    before = [process.memory_info().rss for process in processes]
    for number in range(120):
        body = f"{number} "
        pool.sqs.send_message(QueueUrl=pool.url, MessageBody=body + "x" * (1024 * 1024 - len(body)))
    most = list(before)

    def done() -> bool:
        now = [process.memory_info().rss for process in processes]
        most[:] = [max(pair) for pair in zip(most, now, strict=True)]
        return len(pool.effects()) == 120

    eventually(done, seconds=90, why=f"all effects, {len(pool.effects())}")
    grown = [(at_most - at_first) // 2**20 for at_most, at_first in zip(most, before, strict=True)]
    assert grown[0] < 60, "MiB of the poller: a receive of 10 MiB is several times that while it is decoded"
    assert max(grown[1:]) < 15, "MiB of a handler"
    assert pool.stop() == 0


def test_fifo_keeps_its_order_through_kills(pools: Callable[..., Pool]) -> None:
    """First effects of a group come in the order in which they were sent, whoever dies."""
    # Each death of a poller costs what waited in its ready line a receive, so the queue must allow for many.
    pool = pools("short", fifo=True, handlers=3, visibility_timeout=30, retry={"first": 0.2, "most": 1}, receives=1000)
    groups = "abcdef"
    for number in range(40):
        for place, group in enumerate(groups):
            pool.send([f"{number * 10 + place} x"], group=group)
    pool.start()
    for _ in range(12):
        for kind in ("handlers", "handlers", "pollers"):
            pids = pool.pids(kind)
            if pids:
                os.kill(pids[0], signal.SIGKILL)
            time.sleep(0.1)  # the rhythm of the kills
    eventually(lambda: len(pool.effects()) == 240, seconds=90, why=f"all effects, {len(pool.effects())}")
    pool.wait_empty(seconds=60)
    first: dict[str, list[int]] = {group: [] for group in groups}
    for line in pool.effects_file.read_text().splitlines():
        step, number, *_ = line.split()
        order = first[groups[int(number) % 10]]
        if step == "end" and int(number) not in order:
            order.append(int(number))
    assert all(order == sorted(order) for order in first.values())
    assert pool.stop() == 0
