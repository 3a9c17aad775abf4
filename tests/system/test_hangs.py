"""Handlers that never end, and pollers that die beside handlers which cannot answer."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import psutil
import pytest

from tests.system.conftest import alive
from tests.system.pool import Pool, eventually

APPLICATION = "tests.system.hard_cases"


@pytest.mark.parametrize("word", ["loop", "regex"])
def test_c_code_that_keeps_the_gil_is_killed(pools: Callable[..., Pool], word: str) -> None:
    """No Python code of the process can run, no soft exception helps: stacks, SIGKILL, and a retry, uncharged."""
    pool = pools(f"{APPLICATION}:hang", handlers=1, handler_timeout=2, retry={"first": 0.1, "most": 0.2})
    pool.send([f"1 {word}"])
    pool.start()
    eventually(lambda: pool.effects()["1"] == 1, seconds=40, why="another process does it")
    pool.wait_empty(seconds=10)
    events = pool.events()
    (died,) = [event for event in events if event["event"] == "child_died"]
    assert died["signal"] == signal.SIGKILL
    assert "hard_cases.py" in died["stack"], "where it hung"
    assert [event["event"] for event in events if event["event"].startswith("message_")] == ["message_overdue"]
    assert pool.stop() == 0


def test_the_processes_of_a_hung_handler_die_with_it(pools: Callable[..., Pool]) -> None:
    """Its process group. What called setsid has left it, and is the user's own affair."""
    pool = pools(f"{APPLICATION}:hang", handlers=1, handler_timeout=2, retry={"first": 0.1, "most": 0.2})
    pool.send(["1 family"])
    pool.start()

    def children() -> dict[str, psutil.Process]:
        lines = pool.effects_file.read_text().splitlines() if pool.effects_file.exists() else []
        rows = [line.split() for line in lines]
        return {row[0]: psutil.Process(int(row[1])) for row in rows if len(row) == 2}

    family = eventually(lambda: len(found := children()) == 2 and found, seconds=20, why="it has two children")
    try:
        assert all(alive(child) for child in family.values())
        eventually(lambda: pool.effects()["1"] == 1, seconds=40, why="another process does it")
        eventually(lambda: not alive(family["group"]), seconds=10, why="its child is dead")
        assert alive(family["session"])
    finally:
        family["session"].kill()
    assert pool.stop() == 0


def test_a_pollers_successor_needs_no_answer_of_its_handlers(pools: Callable[..., Pool]) -> None:
    """10 s messages at a visibility timeout of 5 s, in C code that keeps the GIL; the poller is killed three times."""
    pool = pools(f"{APPLICATION}:hold_gil", handlers=2, wait=1)
    pool.send([f"{number} 10" for number in range(2)])
    pool.start(unchecked={"visibility_timeout": 5.0})
    eventually(lambda: len(pool.effects("start")) == 2, seconds=20, why="both run")
    for _ in range(3):
        (poller,) = pool.pids("pollers")
        os.kill(poller, signal.SIGKILL)
        eventually(lambda: pool.pids("pollers") not in ([], [poller]), seconds=10, why="a successor")  # noqa: B023
        time.sleep(1.5)  # the next kill comes in the middle of the successor's work
    eventually(lambda: len(pool.effects()) == 2, seconds=30, why="both done")
    pool.wait_empty(seconds=10)
    assert set(pool.effects("start").values()) == {1}
    assert pool.stop() == 0


def test_a_stopped_supervisor_holds_nobody_up(pools: Callable[..., Pool]) -> None:
    """SIGSTOP for longer than a third of the visibility timeout: messages flow without it, and when it goes on it
    blames nobody for the time that it slept."""
    pool = pools("record", handlers=2, wait=1, visibility_timeout=9)
    pool.start()
    assert pool.process is not None
    before = sorted(process.pid for process in pool.tree())
    os.kill(pool.process.pid, signal.SIGSTOP)
    try:
        time.sleep(4)  # it sleeps
        pool.send([f"{number} x" for number in range(100)])
        eventually(lambda: len(pool.effects()) == 100, seconds=20, why="handled without it")
    finally:
        os.kill(pool.process.pid, signal.SIGCONT)
    eventually(lambda: pool.state() == "running", seconds=10, why="it answers again")
    time.sleep(1)  # a look at everybody
    assert sorted(process.pid for process in pool.tree()) == before
    assert pool.stop() == 0


@pytest.mark.parametrize("fifo", [False, True])
def test_a_handler_sees_that_its_lease_is_lost(pools: Callable[..., Pool], *, fifo: bool) -> None:
    """`message.lease_lost`, and LeaseLost when it asks for time. Its late ack is counted; a standard message is not run
    again, for it is done; a FIFO message is, for its ack may have come after another's start."""
    pool = pools(f"{APPLICATION}:outlast", handlers=1, wait=1, fifo=fifo, retry={"first": 0.1, "most": 0.2})
    name = pool.url.rsplit("/", 1)[1]
    server = pool.server
    server.set_faults({"effect": "unavailable", "action": "ChangeMessageVisibilityBatch", "queue": name})
    pool.send(["1 x"], group="g" if fifo else "")
    pool.start(unchecked={"visibility_timeout": 6.0})
    runs = 2 if fifo else 1
    try:
        eventually(lambda: pool.effects()["1"] >= 1, seconds=30, why="the lease is lost, and told")
    finally:
        server.clear_faults()
    eventually(lambda: pool.effects()["1"] == runs, seconds=30, why=f"{runs} runs, {pool.effects()}")
    pool.wait_empty(seconds=10)
    eventually(lambda: pool.queue()["counters"]["lost"] >= 1, seconds=10, why="the counters show it a moment later")
    assert pool.queue()["counters"]["late"] >= 1
    assert pool.effects()["1"] == runs
    assert any(event["event"] == "lease_lost" for event in pool.events())
    assert pool.stop() == 0


def test_without_a_dead_letter_queue_a_killer_is_hidden_and_never_deleted(pools: Callable[..., Pool]) -> None:
    """At its third death alone: the longest backoff, and a warning; others go on."""
    pool = pools("by_word", dead_letter_queue=False, handlers=1, wait=1, retry={"first": 0.1, "most": 120})
    pool.send(["1 crash", *[f"{number} ack" for number in range(10, 30)]])
    pool.start()
    eventually(lambda: len(pool.effects()) == 20, seconds=30, why="its neighbours are handled")
    warned = "no_dead_letter_queue"
    eventually(lambda: any(event["event"] == warned for event in pool.events()), seconds=60, why="a warning")
    eventually(lambda: pool.depth() == (0, 1), seconds=10, why=f"hidden, {pool.depth()}")
    assert pool.effects("start")["1"] == 3
    assert pool.stop() == 0
    assert pool.depth() == (0, 1)
