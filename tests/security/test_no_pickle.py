"""Test process: no process of a pool pickles or unpickles anything, ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.pool import ROOT, Pool, eventually

TRIPWIRE = Path(__file__).parent / "tripwire"


@pytest.mark.parametrize(
    "use",
    [
        "import pickle; pickle.loads(pickle.dumps(1))",
        "import pickle; pickle.loads(b'I1\\n.')",
        "from pickle import Unpickler; Unpickler(None)",
        "import pickle; pickle._loads(b'I1\\n.')",
        "import _pickle; _pickle.loads(b'I1\\n.')",
        "import marshal; marshal.loads(b'N')",
        "import multiprocessing; a, b = multiprocessing.Pipe(); a.send(1)",
        "import multiprocessing; a, b = multiprocessing.Pipe(); a.send_bytes(b'I1\\n.'); b.recv()",
        "import copyreg, shelve, sys; shelve.open(sys.argv[1])['a'] = 1",
    ],
)
def test_the_wire_trips(use: str, tmp_path: Path) -> None:
    """Each way to pickle ends a process that was started as the pool is; without one, it lives."""
    environ = os.environ | {"PYTHONPATH": str(TRIPWIRE)}
    for source, code in ((use, -signal.SIGABRT), (use.partition(";")[0], 0)):
        command = [sys.executable, "-c", source, str(tmp_path / "shelf")]
        ended = subprocess.run(command, env=environ, capture_output=True, check=False)
        assert (ended.returncode, b"TRIPPED" in ended.stderr) == (code, code != 0), ended.stderr


def kill_one(pool: Pool, kind: str) -> None:
    gone = pool.pids(kind)[0]
    os.kill(gone, signal.SIGKILL)
    eventually(lambda: gone not in pool.pids(kind), seconds=10, why=f"{kind} are replaced")


@pytest.mark.system
def test_a_pool_under_load_never_pickles(pools: Callable[..., Pool], tmp_path: Path) -> None:
    """Every outcome, a death and a successor of each kind of child, a reload, scaling, stacks and a drain: exit 0."""
    pool = pools("by_word", receives=3, wait=1, retry={"first": 0.1, "most": 0.2})
    marks = tmp_path / "marks"
    marks.mkdir()
    target = pool.sqs.create_queue(QueueName=f"{pool.url.rsplit('/', 1)[1]}-target")["QueueUrl"]
    pool.environment |= {"PYTHONPATH": f"{TRIPWIRE}{os.pathsep}{ROOT}", "TRIPWIRE": str(marks), "TARGET": target}
    words = ["ack"] * 20 + ["reject", "forward", "retry", "raise"]
    pool.send([f"{number} {word}" for number, word in enumerate(words * 10)])
    pool.start(unchecked={"visibility_timeout": 3.0})  # what the killed poller's last receive brought comes back soon
    for kind in ("pollers", "handlers"):
        kill_one(pool, kind)
    for words_ in (["scale", "work", "3"], ["stacks"], ["status"], ["reload"]):
        command = [sys.executable, "-m", "worker", *words_, "--socket", str(pool.socket)]
        subprocess.run(command, env=pool.environment, cwd=ROOT, check=True, capture_output=True)
    eventually(lambda: len(pool.effects()) == 200, seconds=30, why="all acks")
    eventually(lambda: pool.depth(pool.dead)[0] == 30, seconds=30, why="all dead letters")
    eventually(lambda: pool.depth(target)[0] >= 10, seconds=10, why="all forwards")
    pool.wait_empty(seconds=10)
    assert pool.process is not None
    marked = {int(mark.name) for mark in marks.iterdir()}
    assert {pool.process.pid, *pool.pids("pollers"), *pool.pids("handlers")} <= marked
    assert pool.stop() == 0
    assert b"TRIPPED" not in pool.log.read_bytes()
