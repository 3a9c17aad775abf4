"""SIGKILL of any process at any instant: nothing is lost, nothing hangs, nothing is left behind."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from tests.system.conftest import alive
from tests.system.pool import Pool, eventually

#: Of the plain handler function; a third of both for the others.
MESSAGES = 20_000
SECONDS = 20.0


def kill(pid: int) -> None:
    """SIGKILL, unless it is gone already."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@pytest.mark.parametrize(
    ("handler", "keys", "places"),
    [
        ("short", {}, 1),
        ("short", {"threads": 8}, 8),
        ("short_async", {"concurrency": 50}, 50),
        ("short_batch", {"batch": {"size": 10, "wait": 0.1}}, 10),
    ],
    ids=["plain", "threads", "async", "batch"],
)
def test_twenty_seconds_of_kills_lose_nothing(
    pools: Callable[..., Pool], handler: str, keys: dict[str, Any], places: int
) -> None:
    """20,000 messages, pollers and handlers killed at random: every effect happens, and few happen twice."""
    share = 1 if places == 1 else 3
    count = MESSAGES // share
    pool = pools(handler, visibility_timeout=30, handlers=2, pollers=1, receives=1000, **keys)
    pool.send([f"{number} {'x' * 200}" for number in range(count)])
    pool.start()
    assert pool.process is not None
    before = psutil.Process(pool.process.pid).num_fds()
    chance = random.Random(4)
    kills = {"handlers": 0, "pollers": 0}
    end = time.monotonic() + SECONDS / share
    while time.monotonic() < end:
        kind = "pollers" if chance.random() < 0.2 else "handlers"
        pids = pool.pids(kind)
        if pids:
            kill(chance.choice(pids))
            kills[kind] += 1
        time.sleep(chance.uniform(0.05, 0.3))  # the storm's own rhythm
    eventually(lambda: len(pool.effects()) == count, seconds=60, why=f"all effects, {len(pool.effects())}")
    pool.wait_empty(seconds=60)
    effects = pool.effects()
    assert kills["handlers"] > 10 and kills["pollers"] > 1  # noqa: PT018 - it was a storm
    assert len(effects) == count, "lost"
    # A kill of a handler repeats at most what it ran; a kill of a poller repeats nothing.
    duplicates = sum(count - 1 for count in effects.values())
    assert duplicates <= kills["handlers"] * places, (duplicates, kills)
    assert pool.depth(pool.dead) == (0, 0)
    eventually(lambda: psutil.Process(pool.process.pid).num_fds() <= before, seconds=5, why="no descriptor left behind")
    assert pool.stop() == 0


def test_the_supervisors_death_ends_all_and_loses_nothing(pools: Callable[..., Pool]) -> None:
    """Killed again and again, and started anew as systemd would: every effect happens, no orphan stays.

    Each time the poller, which was killed by nobody, gives back what it held, and ends by itself.
    """
    pool = pools("short", visibility_timeout=30, wait=1, handlers=2)
    pool.send([f"{number} x" for number in range(3000)])
    trees: list[psutil.Process] = []
    for _ in range(4):
        pool.start()
        trees += pool.tree()
        eventually(lambda: pool.queue()["counters"]["received"] > 200, seconds=20, why="under load")
        assert pool.process is not None
        pool.process.kill()
        pool.process.wait()
    pool.start()
    eventually(lambda: not any(alive(one) for one in trees), seconds=15, why="no orphan after a killed supervisor")
    eventually(lambda: len(pool.effects()) == 3000, seconds=60, why=f"all effects, {len(pool.effects())}")
    pool.wait_empty(seconds=60)
    drained = [event["process"] for event in pool.events() if event["event"] == "drain_finished"]
    assert drained == ["poller work/0"] * 4
    assert pool.stop() == 0
