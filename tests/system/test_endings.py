"""How a pool stops, and how it changes while it runs."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.system.pool import ROOT, Pool, eventually


def under_load(pool: Pool, messages: int = 3000) -> None:
    """Send, start, and wait until it is at work."""
    pool.send([f"{number} x" for number in range(messages)])
    pool.start()
    eventually(lambda: len(pool.effects()) > 100, seconds=20, why="at work")


def test_a_drain_under_load_leaves_nothing_in_flight(pools: Callable[..., Pool]) -> None:
    """What runs finishes, what waits is given back, each effect happened once, and the exit code says so."""
    pool = pools("short")
    under_load(pool, 6000)
    assert pool.stop() == 0
    visible, in_flight = pool.depth()
    assert in_flight == 0
    effects = pool.effects()
    assert len(effects) + visible == 6000
    assert set(effects.values()) == {1}
    assert pool.effects("start") == effects


def test_a_second_signal_hurries(pools: Callable[..., Pool]) -> None:
    """Long messages are cut off, given back at once, and nothing is left in flight."""
    pool = pools("seconds", handlers=2, wait=1)
    pool.send([f"{number} 15" for number in range(4)])
    pool.start()
    eventually(lambda: len(pool.effects("start")) == 2, seconds=20, why="two run")
    assert pool.process is not None
    pool.process.send_signal(signal.SIGTERM)
    started = time.monotonic()
    eventually(lambda: pool.status().get("state") == "draining", seconds=5, why="draining")
    time.sleep(0.5)  # two signals within 0.3 s are one word, said to the process and to its group
    assert pool.stop() == 0
    assert time.monotonic() - started < 8
    assert pool.depth() == (4, 0)
    assert not pool.effects()


def test_a_drain_kills_what_outlasts_its_budget(pools: Callable[..., Pool]) -> None:
    """Within drain_timeout; the messages are given back, uncharged."""
    pool = pools("seconds", handlers=1, wait=1, drain_timeout=9)
    pool.send(["1 60"])
    pool.start()
    eventually(lambda: pool.effects("start")["1"] == 1, seconds=20, why="it runs")
    started = time.monotonic()
    assert pool.stop() == 0
    assert time.monotonic() - started < 9.5
    assert pool.depth() == (1, 0)


def test_ctrl_c_in_a_terminal_drains(pools: Callable[..., Pool]) -> None:
    """The terminal's SIGINT reaches the supervisor only; what runs finishes."""
    pool = pools("seconds", handlers=1, wait=1)
    pool.send(["1 3"])
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "worker", "run", "--config", str(pool.config)]
    pool.process = subprocess.Popen(
        ["setsid", "--ctty", *command] if Path("/usr/bin/setsid").exists() else command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=pool.environment,
        cwd=ROOT,
    )
    os.close(slave)
    eventually(lambda: pool.effects("start")["1"] == 1, seconds=30, why="it runs")
    os.write(master, b"\x03")
    said = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        if not piece:
            break
        said += piece
    assert pool.process.wait(30) == 0
    os.close(master)
    assert pool.effects()["1"] == 1
    assert b"Traceback" not in said
    assert b"drain_finished" in said


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="PID namespaces are Linux's, and root's")
def test_as_pid_1_it_drains_and_reaps_what_is_not_its_own(pools: Callable[..., Pool]) -> None:
    """SIGTERM to PID 1 of a PID namespace; an orphan of user code becomes no zombie."""
    pool = pools("orphan", handlers=1, wait=1)
    pool.send(["1 x"])
    pool.start("unshare", "--pid", "--fork", "--mount-proc", ready=False)
    eventually(lambda: pool.effects()["1"] == 1, seconds=30, why="done")
    assert pool.process is not None
    (init,) = psutil.Process(pool.process.pid).children()
    eventually(
        lambda: not [one for one in init.children(recursive=True) if one.status() == psutil.STATUS_ZOMBIE],
        seconds=10,
        why="no zombie",
    )
    init.send_signal(signal.SIGTERM)
    assert pool.process.wait(30) == 0
    assert pool.depth() == (0, 0)


class TestChanges:
    """Reload, scale, pause."""

    def test_a_reload_under_load_loses_and_repeats_nothing(self, pools: Callable[..., Pool]) -> None:
        """New processes are ready first; the old ones drain."""
        pool = pools("short")
        under_load(pool, 8000)
        old = set(pool.pids("handlers")) | set(pool.pids("pollers"))
        assert pool.process is not None
        pool.process.send_signal(signal.SIGHUP)
        eventually(
            lambda: pool.pids("handlers") and not old & {*pool.pids("handlers"), *pool.pids("pollers")},
            seconds=30,
            why="all processes are new",
        )
        eventually(lambda: len(pool.effects()) == 8000, seconds=60, why="all effects")
        pool.wait_empty(seconds=20)
        assert set(pool.effects().values()) == {1}
        assert pool.stop() == 0

    def test_a_bad_config_leaves_the_old_pool_running(self, pools: Callable[..., Pool]) -> None:
        """And says why."""
        pool = pools("short")
        pool.start()
        old = pool.pids("handlers")
        good = pool.config.read_text()
        for bad in (good + "\nwiat = 3\n", good.replace("effects:short", "effects:missing")):
            pool.config.write_text(bad)
            assert pool.process is not None
            before = len(pool.events())
            pool.process.send_signal(signal.SIGHUP)
            eventually(
                lambda: any(event["level"] == "error" for event in pool.events()[before:]),  # noqa: B023
                seconds=30,
                why="it says why",
            )
            eventually(lambda: pool.state() == "running", seconds=30, why="running")
            # What had been started of the new generation goes first.
            eventually(lambda: pool.pids("handlers") == old, seconds=30, why="the old handlers, and no others")
        assert pool.stop() == 0

    def test_scaling_up_and_down_disturbs_nothing(self, pools: Callable[..., Pool]) -> None:
        """TTIN and TTOU, under load."""
        pool = pools("short", handlers=1)
        under_load(pool, 4000)
        assert pool.process is not None
        for _ in range(2):
            pool.process.send_signal(signal.SIGTTIN)
            time.sleep(0.2)  # signals of one kind do not queue
        eventually(lambda: _serving(pool) == 3, seconds=20, why="three handlers")
        for _ in range(2):
            pool.process.send_signal(signal.SIGTTOU)
            time.sleep(0.2)  # as above
        eventually(lambda: _serving(pool) == 1, seconds=20, why="one handler")
        eventually(lambda: len(pool.effects()) == 4000, seconds=60, why="all effects")
        pool.wait_empty(seconds=20)
        assert set(pool.effects().values()) == {1}
        assert pool.stop() == 0

    def test_a_paused_pool_receives_nothing(self, pools: Callable[..., Pool]) -> None:
        """TSTP and CONT; a drain while paused ends as well."""
        pool = pools("record", wait=1)
        pool.start()
        assert pool.process is not None
        pool.process.send_signal(signal.SIGTSTP)
        eventually(lambda: pool.state() == "paused", seconds=10, why="paused")
        time.sleep(1.5)  # the long poll that was on its way returns
        pool.send(["1 x"])
        time.sleep(1.5)  # nothing may happen
        assert not pool.effects()
        pool.process.send_signal(signal.SIGCONT)
        eventually(lambda: pool.effects()["1"] == 1, seconds=10, why="resumed")
        assert pool.stop() == 0


def _serving(pool: Pool) -> int:
    return sum(handler["state"] in ("ready", "busy") for handler in pool.queue().get("handlers", ()))


def test_a_broken_application_exits_78(pools: Callable[..., Pool]) -> None:
    """At the first boot, naming what cannot be imported, without a stack trace and without a receive."""
    pool = pools("missing")
    pool.start(ready=False)
    assert pool.process is not None
    assert pool.process.wait(30) == 78
    said = pool.log.read_text()
    assert "tests.system.effects:missing" in said
    assert "Traceback" not in said


def test_a_missing_queue_exits_78(pools: Callable[..., Pool]) -> None:
    """Naming the queue."""
    pool = pools("record")
    pool.config.write_text(pool.config.read_text().replace(pool.url, pool.url + "-nowhere"))
    pool.start(ready=False)
    assert pool.process is not None
    assert pool.process.wait(30) == 78
    assert "nowhere" in pool.log.read_text()


def test_an_idle_pool_sleeps(pools: Callable[..., Pool]) -> None:
    """Six calls a minute or fewer, and hardly a wakeup in the whole tree."""
    pool = pools("record", wait=10)
    pool.start()
    time.sleep(3)  # start-up is over
    tree = [psutil.Process(pool.process.pid), *pool.tree()] if pool.process else []
    before = sum(sum(one.num_ctx_switches()) for one in tree)
    calls = pool.queue()["counters"]["calls"]
    time.sleep(10)  # the measurement
    switches = sum(sum(one.num_ctx_switches()) for one in tree) - before
    assert pool.queue()["counters"]["calls"] - calls <= 2
    assert switches < 100, switches
    assert pool.stop() == 0


def test_recycling_under_load_leaves_no_gap_and_repeats_nothing(pools: Callable[..., Pool]) -> None:
    """Handlers replaced every few hundred messages: a spare is ready first, each message has one effect."""
    pool = pools("short", handlers=2, recycle={"max_messages": 300})
    under_load(pool, 4000)
    eventually(lambda: len(pool.effects()) == 4000, seconds=60, why="all effects")
    pool.wait_empty(seconds=20)
    assert set(pool.effects().values()) == {1}
    assert sum(event["event"] == "handler_recycled" for event in pool.events()) >= 3
    assert not [event for event in pool.events() if event["level"] in ("warning", "error")]
    assert pool.stop() == 0
