"""on_start and on_stop of handler processes in real pools, and middleware across a reload."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.system.pool import Pool, eventually

BOTH = {"on_start": "tests.system.hooks:begin", "on_stop": "tests.system.hooks:close"}
HANDLER = "tests.system.hooks:record"

preloaded = pytest.mark.skipif(sys.platform != "linux", reason="handlers are forked on Linux only")


def processes(pool: Pool, step: str) -> set[int]:
    """Pids that were in this hook; each once."""
    found = pool.effects(step)
    assert set(found.values()) <= {1}
    return {int(pid) for pid in found}


@pytest.mark.parametrize("preload", [False, pytest.param(True, marks=preloaded)])
def test_each_process_starts_and_stops_once(pools: Callable[..., Pool], preload: bool) -> None:
    """Handlers and spares, forked or not, and never their template; a killed one starts, and does not stop."""
    pool = pools(HANDLER, **BOTH, handlers=2, wait=1, preload=preload)
    pool.start()
    eventually(lambda: len(pool.pids("handlers")) == 3 == len(processes(pool, "begin")), seconds=20, why="all begun")
    first = set(pool.pids("handlers"))
    assert processes(pool, "begin") == first
    killed = pool.pids("handlers")[0]
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: len(processes(pool, "begin")) == 4, seconds=20, why="its successor has begun")
    pool.send([f"{number} x" for number in range(50)])
    pool.wait_empty(seconds=20)
    assert processes(pool, "close") == set()
    assert pool.stop() == 0
    assert processes(pool, "close") == processes(pool, "begin") - {killed}
    assert set(pool.effects().values()) == {1}


def test_a_start_that_fails_is_78_with_the_reason(pools: Callable[..., Pool]) -> None:
    """As a handler function that cannot be imported; no message is touched."""
    pool = pools(HANDLER, on_start="tests.system.hooks:refuse")
    pool.send(["1 x"])
    pool.start(ready=False)
    assert pool.process is not None
    assert pool.process.wait(30) == 78
    (event,) = [event for event in pool.events() if event["event"] == "config_rejected"]
    assert "on_start 'tests.system.hooks:refuse' failed: ConnectionError: no database (" in event["reason"]
    assert pool.depth() == (1, 0)


@pytest.mark.parametrize("on_stop", ["refuse", "hang"])
def test_a_stop_that_fails_or_hangs_ends_in_time_with_0(pools: Callable[..., Pool], on_stop: str) -> None:
    """The drain keeps its budget, every message is settled, and the log says what went wrong."""
    pool = pools(HANDLER, on_stop=f"tests.system.hooks:{on_stop}", handlers=2, wait=1, drain_timeout=9)
    pool.start()
    pool.send(["1 x"])
    pool.wait_empty(seconds=20)
    began = time.monotonic()
    assert pool.stop() == 0
    assert time.monotonic() - began < 9.5
    assert pool.depth() == (0, 0)
    names = [event["event"] for event in pool.events() if event["level"] in ("warning", "error")]
    assert set(names) == {"on_stop_failed" if on_stop == "refuse" else "child_lingered"}


@pytest.mark.parametrize("way", ["recycle", "scale", "reload"])
def test_whoever_is_replaced_stops_as_well(pools: Callable[..., Pool], way: str) -> None:
    """By recycling, by fewer handlers, by a reload: once, and the others go on."""
    more: dict[str, Any] = {"recycle": {"max_messages": 5}} if way == "recycle" else {}
    pool = pools(HANDLER, **BOTH, handlers=2, wait=1, **more)
    pool.start()
    before = set(pool.pids("handlers"))
    assert pool.process is not None
    if way == "recycle":
        pool.send([f"{number} x" for number in range(60)])
    else:
        pool.process.send_signal(signal.SIGTTOU if way == "scale" else signal.SIGHUP)
    eventually(lambda: processes(pool, "close"), seconds=30, why="one has stopped")
    assert processes(pool, "close") <= before
    pool.send(["last x"])
    eventually(lambda: pool.effects()["last"] == 1, seconds=20, why="the others go on")
    assert pool.stop() == 0
    assert processes(pool, "close") == processes(pool, "begin")


MIDDLEWARE = """
from tests.system.effects import effect
def marked(message, call_next):
    effect("{word}", message)
    return call_next(message)
"""


def test_a_reload_takes_in_new_middleware(pools: Callable[..., Pool]) -> None:
    """Its code has changed, and the config has not."""
    pool = pools("record", middleware=["own_middleware:marked"], wait=1)
    code = pool.folder / "own_middleware.py"
    code.write_text(MIDDLEWARE.format(word="old"))
    pool.start()
    pool.send(["1 x"])
    eventually(lambda: pool.effects()["1"] == 1, seconds=20, why="the first is done")
    code.write_text(MIDDLEWARE.format(word="newer"))
    assert pool.process is not None
    pool.process.send_signal(signal.SIGHUP)
    eventually(lambda: len(pool.queue()["pollers"]) == 1 and generation(pool) == 2, seconds=30, why="replaced")
    pool.send(["2 x"])
    eventually(lambda: pool.effects()["2"] == 1, seconds=20, why="the second is done")
    assert pool.stop() == 0
    assert (pool.effects("old"), pool.effects("newer")) == ({"1": 1}, {"2": 1})


def generation(pool: Pool) -> int:
    return int(pool.queue()["pollers"][0]["generation"])
