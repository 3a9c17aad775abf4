"""Test process: the SQS server as a process: how it starts, says what is wrong, and ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from worker.testing.sqs_server.process import SqsServerProcess


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def wait_for(fact: Callable[[], object]) -> None:
    """Waits, bounded, until something is so."""
    end = time.monotonic() + 10
    while not fact():
        assert time.monotonic() < end
        time.sleep(0.005)


def started(*options: str) -> subprocess.Popen[str]:
    """The server as `worker sqs-server` runs it, once it listens."""
    command = [sys.executable, "-m", "worker.testing.sqs_server", "--port", "0", *options]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert "listening on http://localhost:" in process.stderr.readline()
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(number: signal.Signals) -> None:
    """TERM and INT end the server with code 0 and without a word."""
    process = started()
    process.send_signal(number)
    assert process.communicate(timeout=10)[1] == ""
    assert process.returncode == 0


def test_a_taken_port_is_named(taken_port: int) -> None:
    """A port that is in use ends the start with code 78 and one line that names it."""
    command = [sys.executable, "-m", "worker.testing.sqs_server", "--port", str(taken_port)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert result.returncode == 78
    assert result.stderr == f"sqs-server: port {taken_port} on 127.0.0.1 is taken by another process\n"


def test_a_failed_start_says_why(taken_port: int) -> None:
    """SqsServerProcess raises with what the server said, and leaves no process."""
    with pytest.raises(RuntimeError, match=f"port {taken_port} on 127.0.0.1 is taken"):
        SqsServerProcess(port=taken_port).start()


def test_it_stops_twice_and_starts_again() -> None:
    """Stopping is idempotent; a stopped server can be started anew, on another port, empty."""
    server = SqsServerProcess()
    with pytest.raises(RuntimeError):
        _ = server.pid
    for _ in range(2):
        server.start()
        pid = server.pid
        assert server.queues() == {}
        server.stop()
        server.stop()
        assert gone(pid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_dies_with_its_parent(number: signal.Signals) -> None:
    """A server outlives no parent, however that ended."""
    source = (
        "import sys, time\n"
        "from worker.testing.sqs_server.process import SqsServerProcess\n"
        "server = SqsServerProcess().start()\n"
        "print(server.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.send_signal(number)
    parent.communicate(timeout=10)
    wait_for(lambda: gone(pid))


def test_events_go_to_a_file_too(tmp_path: Path) -> None:
    """The log file has the same events as memory, one JSON object a line."""
    path = tmp_path / "events.jsonl"
    with SqsServerProcess(events_file=str(path)) as server:
        server.queues()
        kept = server.events()
    lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    assert lines[: len(kept)] == kept
    assert kept


def test_usage_counts_cpu_and_memory(sqs_server: SqsServerProcess) -> None:
    """The server tells its own CPU seconds and bytes of memory, for benchmarks."""
    first = sqs_server.usage()
    second = sqs_server.usage()
    assert 0 < first[0] <= second[0]
    assert second[1] > 1_000_000


def test_waiting_for_depths_is_bounded(sqs_server: SqsServerProcess) -> None:
    """A depth that never comes ends in a TimeoutError that tells what there is."""
    with pytest.raises(TimeoutError, match="queue nothing has"):
        sqs_server.wait_for_depths("nothing", ready=1, timeout=0.05)
