"""What is measured against: a full queue, its depth, a latency, the calls; and what a tree of processes uses."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from benchmarks import tree
from benchmarks.endpoints import Embedded, Endpoint, Remote, embedded, wait_for_depth
from benchmarks.localstack import localstack
from tests.conftest import eventually
from worker.cli.embedded import environment


@pytest.fixture
def near() -> Iterator[Embedded]:
    with embedded() as endpoint:
        yield endpoint


def test_what_is_sent_is_there(near: Embedded) -> None:
    """A queue of its own, filled beyond a batch, and gone afterwards."""
    url = near.create()
    assert near.fill(url, [str(number) for number in range(25)]) == 25
    assert near.depth(url) == 25
    assert not wait_for_depth(near, url, most=24, patience=0.1)
    near.delete(url)
    assert near.depth(url) == 0


def test_calls_are_counted_and_late(near: Embedded) -> None:
    """From the moment on at which the latency was set; asking for the count ends both."""
    url = near.create()
    near.fill(url, ["before"])
    near.latency(0.05)
    begin = time.monotonic()
    near.fill(url, ["after"])
    assert time.monotonic() - begin >= 0.05
    assert near.calls() == {"SendMessageBatch": 1}
    assert near.calls() == {}
    assert near.cpu() > 0


def test_localstack_and_aws_are_spoken_to_through_boto3(near: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded server stands in for one that runs already, and a latency there cannot be set."""
    monkeypatch.setenv("BENCH_LOCALSTACK", near.url)
    with localstack() as far:
        _use(far)
        with pytest.raises(RuntimeError, match="as far away as it is"):
            far.latency(0.01)
    assert far.environment()["AWS_ENDPOINT_URL_SQS"] == near.url
    _use(Remote("AWS", near.url, environment(near.url)))


def _use(far: Endpoint) -> None:
    url = far.create(visibility=5)
    assert far.fill(url, ["x"] * 12) == 12
    assert far.depth(url) == 12
    assert far.calls() == {}
    far.delete(url)


def test_the_cpu_of_children_that_ended_counts() -> None:
    """A worker that was replaced has cost its CPU all the same."""
    burn = "import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass\n"
    source = (
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burn!r}], check=True)\n"
        "print('done', flush=True)\nsys.stdin.read()\n"
    )
    child = subprocess.Popen([sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"done\n"
    assert tree.cpu([child.pid]) >= 0.2
    assert tree.memory(child.pid).own > 1
    assert tree.memory(child.pid).own <= tree.memory(child.pid).resident
    child.communicate()
    assert tree.cpu([child.pid]) == 0.0
    assert tree.memory(child.pid) == tree.Memory(0.0, 0.0)


def test_a_killed_tree_leaves_nobody() -> None:
    """Children as well, though nobody asked them to end."""
    source = (
        "import subprocess, sys\nsubprocess.Popen(['sleep', '60'])\nprint('started', flush=True)\nsys.stdin.read()\n"
    )
    child = subprocess.Popen([sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    everybody = tree.tree([child.pid])
    assert len(everybody) == 2
    tree.kill([child.pid])
    child.communicate()
    eventually(lambda: not any(one.is_running() and one.status() != "zombie" for one in everybody))
