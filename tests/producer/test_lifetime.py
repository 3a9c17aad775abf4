"""Test process: exit, forks, signals and imports of real programs that send; see worker/producer/lifetime.py."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import eventually
from tests.producer.conftest import Queue
from worker.producer import lifetime
from worker.producer.producer import Producer

Faults = Callable[..., None]

#: A parent sends, forks with messages on their way, and sends on, as the child does.
_FORKS = """
import os, sys, threading
from worker import Producer, SendError

producer = Producer(sys.argv[1], linger=30.0)
producer.send("first")  # so that a connection is open, which both have then
producer.flush()
sent = [producer.send(f"before {number}") for number in range(3)]
child = os.fork()
if child == 0:
    for future in sent:
        try:
            future.result(20)
        except SendError as error:
            assert error.code == "Forked" and error.maybe_sent, error
        else:
            os._exit(3)
    assert producer.send_many([]) .failed == []
    mine = producer.send("child")
    producer.close()
    mine.result(0)
    os._exit(0)
mine = producer.send("parent")
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
producer.flush()
for future in (*sent, mine):
    future.result(0)
assert producer.send_many([__import__("worker").Sending("after")]).failed == []
"""


def run(source: str, *arguments: str, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
    """A program to its end."""
    command = [sys.executable, "-X", "dev", "-c", source, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def test_what_is_left_is_sent_at_exit(queue: Queue) -> None:
    """A program may end right after its first send, and a thread of it may send on after the main one has ended."""
    source = """
import sys, threading, time
from worker import Producer
producer = Producer(sys.argv[1], linger=30.0)
producer.send("main")
def late():
    threading.main_thread().join()
    producer.send("late")
threading.Thread(target=late).start()
"""
    done = run(source, queue.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(queue.bodies()) == ["late", "main"]


def test_what_cannot_be_sent_at_exit_is_told(queue: Queue, faults: Faults) -> None:
    """Nobody looks at the future any more: standard error has a line, and the program ends."""
    faults("throttle")
    done = run('import sys, worker; worker.Producer(sys.argv[1], timeout=0.2).send("a")', queue.url)
    assert done.returncode == 0
    assert f"queue {queue.url}: 1 messages given up: RequestThrottled" in done.stderr


@pytest.mark.parametrize("client", ["lean", "boto3"])
def test_a_forked_child_sends_for_itself(queue: Queue, client: str) -> None:
    """The parent goes on undisturbed; its messages are sent once, by it, and the child's copies of futures say so."""
    done = run(_FORKS.replace("linger=30.0", f"linger=30.0, client={client!r}"), queue.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(queue.bodies()) == ["after", "before 0", "before 1", "before 2", "child", "first", "parent"]


def test_a_fork_while_results_are_told_leaves_no_future_open(queue: Queue) -> None:
    """A callback of the first message of a batch takes its time: SQS has the others, and they were not told yet."""
    source = """
import os, sys, threading
from worker import Producer, SendError

told, forked = threading.Event(), threading.Event()
producer = Producer(sys.argv[1], linger=0.5)
sent = [producer.send(f"{number}") for number in range(3)]
sent[0].add_done_callback(lambda _: (told.set(), forked.wait(20)))
assert told.wait(20)
child = os.fork()
if child == 0:
    sent[0].result(0)
    for future in sent[1:]:
        try:
            future.result(20)
        except SendError as error:
            assert error.code == "Forked" and error.maybe_sent, error
        else:
            os._exit(3)
    os._exit(0)
forked.set()
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
for future in sent:
    future.result(20)
"""
    done = run(source, queue.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(queue.bodies()) == ["0", "1", "2"]


def test_a_producer_made_before_forks_works_in_each(queue: Queue) -> None:
    """Made at import, as in a template: no thread and no botocore before the first send."""
    source = """
import os, sys, threading
from worker import AsyncProducer, Producer
producer = Producer(sys.argv[1])
other = AsyncProducer(sys.argv[1])
assert threading.active_count() == 1
assert "botocore" not in sys.modules
for number in range(3):
    if os.fork() == 0:
        producer.send(f"child {number}").result(20)
        os._exit(0)
for _ in range(3):
    assert os.wait()[1] == 0
"""
    done = run(source, queue.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(queue.bodies()) == ["child 0", "child 1", "child 2"]


def test_ctrl_c_ends_a_send_that_waits_for_room(queue: Queue, faults: Faults, sqs_server: Any) -> None:
    """KeyboardInterrupt is raised in it, and its message is not taken; what was taken before is sent at exit."""
    source = """
import sys
from worker import Producer
producer = Producer(sys.argv[1], max_buffer=1)
producer.send("taken")
print("full", flush=True)
producer.send("waits")
"""
    faults("throttle")
    command = [sys.executable, "-c", source, queue.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "full\n"
        eventually(lambda: _waits_in(program.pid))
        program.send_signal(signal.SIGINT)
        sqs_server.clear_faults()
        _, said = program.communicate(timeout=30)
    assert program.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in said
    assert queue.bodies() == ["taken"]


def test_ctrl_c_again_ends_the_wait_at_exit(queue: Queue, faults: Faults) -> None:
    """Whoever is at the terminal has the last word; the message was not sent."""
    faults("throttle")
    source = 'import sys, worker; worker.Producer(sys.argv[1]).send("a"); print("sent", flush=True)'
    command = [sys.executable, "-c", source, queue.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "sent\n"

        def ended() -> bool:
            program.send_signal(signal.SIGINT)
            return program.poll() is not None

        eventually(ended, seconds=20.0)
    assert queue.bodies() == []


def _waits_in(pid: int) -> bool:
    """Whether the main thread of a process sleeps in the kernel."""
    with open(f"/proc/{pid}/task/{pid}/stat") as stat:  # noqa: PTH123 - one read of a file of the kernel's
        return stat.read().rpartition(")")[2].split()[0] == "S"


def test_a_signals_handler_may_send_and_close(queue: Queue) -> None:
    """In the middle of a send of the thread that it interrupts: no lock is waited for that the thread itself holds."""
    source = """
import signal, sys
from worker import Producer
producer = Producer(sys.argv[1], max_buffer=500)
sent = [producer.send("first")]
def handle(*_):
    if len(sent) < 300:
        sent.append(producer.send("signal"))
    else:
        signal.setitimer(signal.ITIMER_REAL, 0)
        producer.close()
signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
try:
    while True:
        sent.append(producer.send("main"))
except RuntimeError as error:
    assert "is closed" in str(error), error
for future in sent:
    future.result(0)
print(len(sent))
"""
    done = run(source, queue.url)
    assert (done.returncode, done.stderr) == (0, "")
    # The last one that the handler interrupted may have been taken without its future having reached the list.
    assert queue.depth() - int(done.stdout) in (0, 1)


def test_a_close_that_cannot_wait_is_made_good_at_exit(queue: Queue) -> None:
    """In a handler that interrupted a send it returns at once; the producer is watched on, till a close that waits."""
    producer = Producer(queue.url, linger=30.0)
    engine = producer._engine
    future = producer.send("a")
    assert engine._sender is not None
    with engine._sender._intake._lock:  # as in the middle of a send of this thread
        producer.flush()
        producer.close()
    assert engine in lifetime._watched
    producer.close()
    assert future.done()
    assert engine not in lifetime._watched
    assert queue.bodies() == ["a"]


def test_importing_worker_stays_light() -> None:
    """Handlers import it: no botocore, no asyncio, no policies; the names are there when asked for."""
    source = """
import sys
import worker
heavy = {"botocore", "boto3", "httptools", "asyncio", "concurrent.futures", "worker.policy", "worker.producer"}
assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
from worker import Sending, SendError, SendResult
assert not (heavy - {"worker.producer"}) & sys.modules.keys()
assert worker.Producer.__name__ == "Producer" and worker.AsyncProducer.__name__ == "AsyncProducer"
assert not {"botocore", "boto3", "httptools"} & sys.modules.keys()
assert set(worker.__all__) <= {*dir(worker), *worker.__all__}
assert all(hasattr(worker, name) for name in worker.__all__)
assert not hasattr(worker, "Produce")
"""
    done = run(source)
    assert (done.returncode, done.stderr) == (0, "")
