"""Test process: real handler processes that run several messages at once: in threads, on an event loop, in batches."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.conftest import eventually
from tests.handler.conftest import Launch
from tests.handler.parts import parcel
from tests.handler.process import HandlerProcess
from worker.message import Kind
from worker.platform import now
from worker.protocol import ControlFrame, StreamFrame
from worker.settings import BatchSettings
from worker.slots import ChildState

PLAIN = {"handler": "tests.handler.user_code:handle", "threads": 8}
ASYNC = {"handler": "tests.handler.user_code_async:handle", "concurrency": 8}
KINDS = pytest.mark.parametrize("keys", [PLAIN, ASYNC], ids=["threads", "async"])


def running(handler: HandlerProcess) -> set[int]:
    """Sequences that the slot names."""
    return {entry.seq for entry in handler.slot.running()}


@KINDS
def test_as_many_run_as_there_are_places(launch: Launch, tmp_path: Path, keys: dict[str, Any]) -> None:
    """Each is named in the slot with its own times; what is ahead of them starts when one ends."""
    handler = launch(**keys).start()
    gates = [tmp_path / str(number) for number in range(10)]
    seqs = [handler.do("wait", until=gate) for gate in gates]
    eventually(lambda: running(handler) == set(seqs[:8]))
    assert all(entry.deadline > entry.started + 299 for entry in handler.slot.running())
    gates[3].touch()
    handler.acked(seqs[3])
    eventually(lambda: running(handler) == {*seqs[:3], *seqs[4:9]})
    for gate in gates:
        gate.touch()
    handler.acked(*seqs)
    assert running(handler) == set()
    eventually(lambda: handler.slot.look().state is ChildState.READY)
    facts = handler.slot.look()
    assert (facts.done, facts.failed) == (10, 0)
    assert {written.seq for written in handler.slot.outcomes()} == set(seqs)


@KINDS
def test_a_slow_one_holds_nobody_up(launch: Launch, tmp_path: Path, keys: dict[str, Any]) -> None:
    """A hundred others pass by it."""
    handler = launch(**keys).start()
    slow = handler.do("wait", until=tmp_path / "gate")
    others = [handler.do("nothing") for _ in range(100)]
    handler.acked(*others)
    assert running(handler) == {slow}
    (tmp_path / "gate").touch()
    handler.acked(slow)


@pytest.mark.parametrize(("keys", "what"), [(PLAIN, "be_late_in_python"), (ASYNC, "be_late")], ids=["threads", "async"])
def test_only_the_late_one_is_interrupted(launch: Launch, tmp_path: Path, keys: dict[str, Any], what: str) -> None:
    """SIGUSR1 ends the call that is past its deadline, once, in time for an outcome; its neighbours run on."""
    handler = launch(**keys, timeout=0.3).start()
    late = handler.do(what, started=tmp_path / "started")
    eventually((tmp_path / "started").exists)
    eventually(lambda: handler.slot.running()[0].deadline < now())
    neighbour = handler.do("wait", until=tmp_path / "gate")
    eventually(lambda: running(handler) == {late, neighbour})
    os.kill(handler.process.pid, signal.SIGUSR1)
    said = handler.hear(lambda said: said.others)
    assert [(one.seq, one.kind, one.after) for one in said.others] == [(late, Kind.RETRY, 2.0)]
    assert "cleaned up" in said.others[0].reason
    assert running(handler) == {neighbour}
    (tmp_path / "gate").touch()
    handler.acked(neighbour)


def test_a_cancelled_one_that_does_not_care_is_a_retry_that_says_why(launch: Launch) -> None:
    """Cancellation is how SoftTimeout reaches a coroutine that waits."""
    handler = launch(**ASYNC, timeout=0.2).start()
    seq = handler.do("hang")
    eventually(lambda: handler.slot.running() and handler.slot.running()[0].deadline < now())
    os.kill(handler.process.pid, signal.SIGUSR1)
    said = handler.hear(lambda said: said.others)
    assert [(one.seq, one.kind, one.after) for one in said.others] == [(seq, Kind.RETRY, None)]
    assert said.others[0].reason == f"SoftTimeout: message id-{seq} is past its deadline"


def test_a_coroutine_that_blocks_the_loop_is_interrupted_in_its_system_call(launch: Launch, tmp_path: Path) -> None:
    """The signal reaches the main thread, whose code is the coroutine's."""
    handler = launch(**ASYNC, timeout=0.2).start()
    seq = handler.do("block", started=tmp_path / "started")
    eventually((tmp_path / "started").exists)
    eventually(lambda: handler.slot.running()[0].deadline < now())
    os.kill(handler.process.pid, signal.SIGUSR1)
    said = handler.hear(lambda said: said.others)
    assert [(one.seq, one.reason[:11]) for one in said.others] == [(seq, "SoftTimeout")]


def test_a_blocked_loop_still_talks_with_its_poller(launch: Launch, tmp_path: Path) -> None:
    """A recall gets what has not started; a successor hears what runs."""
    handler = launch(**ASYNC | {"concurrency": 2}).start()
    body, seqs = orjson.dumps({"do": "block_until", "until": str(tmp_path / "gate")}), [1, 2, 3]
    handler.give(*(parcel(seq, body, expires=now() + 43_000) for seq in seqs))  # one frame: all have come when one runs
    eventually(lambda: running(handler))
    handler.pollers[-1].send(StreamFrame.RECALL, None)
    assert handler.hear(lambda said: said.returned).returned == [seqs[2]]
    handler.attach(link=2)
    (hello,) = handler.hear(lambda said: said.hellos).hellos
    assert set(hello["running"]) == set(seqs[:2])
    (tmp_path / "gate").touch()
    handler.acked(*seqs[:2])


def test_a_coroutine_that_is_cancelled_by_its_own_code_is_a_retry(launch: Launch) -> None:
    """As any other exception."""
    handler = launch(**ASYNC).start()
    seq = handler.do("cancel_itself")
    said = handler.hear(lambda said: said.others)
    assert [(one.seq, one.reason) for one in said.others] == [(seq, "CancelledError")]


@KINDS
def test_a_stop_waits_for_all_that_run(launch: Launch, tmp_path: Path, keys: dict[str, Any]) -> None:
    """What has not started goes back; the process ends when the last one has."""
    handler = launch(**keys).start()
    seqs = [handler.do("wait", until=tmp_path / "gate") for _ in range(12)]
    eventually(lambda: running(handler) == set(seqs[:8]))
    handler.control.send(ControlFrame.STOP, None)
    assert sorted(handler.hear(lambda said: len(said.returned) == 4).returned) == seqs[8:]
    assert handler.process.poll() is None
    (tmp_path / "gate").touch()
    assert sorted(handler.rest().acks) == seqs[:8]
    assert handler.code() == 0


def test_what_is_left_on_the_loop_is_cancelled_at_the_end(launch: Launch, tmp_path: Path) -> None:
    """A background coroutine of user code may clean up, and holds nothing up."""
    handler = launch(**ASYNC).start()
    handler.acked(handler.do("leave_behind", into=tmp_path / "cleaned"))
    handler.control.send(ControlFrame.STOP, None)
    assert handler.code() == 0
    assert (tmp_path / "cleaned").exists()


@pytest.mark.parametrize("keys", [PLAIN, ASYNC, PLAIN | {"threads": 1, "batch": BatchSettings(size=2, wait=0.0)}])
def test_an_exit_is_a_death_that_leaves_all_named(launch: Launch, tmp_path: Path, keys: dict[str, Any]) -> None:
    """Who ran beside it cannot be told from who did it: all are suspects. What ended before is told."""
    batch = "batch" in keys
    if batch:
        keys = keys | {"handler": "tests.handler.user_code:handle_list"}
    handler = launch(**keys).start()
    done = handler.do("nothing")
    handler.acked(done)
    if batch:
        bodies = [{"do": "nothing"}, {"do": "leave", "code": 7}]
        handler.give(*(parcel(50 + place, orjson.dumps(body)) for place, body in enumerate(bodies)))
        expected = {50, 51}
    else:
        neighbour = handler.do("wait", until=tmp_path / "never")
        eventually(lambda: running(handler) == {neighbour})
        expected = {neighbour, handler.do("leave", code=7)}
    assert handler.code() == 7
    assert running(handler) == expected
    assert [written.seq for written in handler.slot.outcomes()] == [done]


@pytest.mark.parametrize(("what", "code"), [("leave_in_a_part", 7), ("stop_the_loop", os.EX_SOFTWARE)])
def test_what_ends_the_loop_is_a_death_without_outcomes(launch: Launch, tmp_path: Path, what: str, code: int) -> None:
    """An exit in a task of user code, or a stopped loop: what runs is not cancelled on the way out, which would be an
    outcome."""
    handler = launch(**ASYNC).start()
    neighbour = handler.do("wait", until=tmp_path / "never")
    eventually(lambda: running(handler) == {neighbour})
    seq = handler.do(what, code=7) if what == "leave_in_a_part" else handler.do(what)
    assert handler.code() == code
    assert running(handler) == {neighbour, seq}
    assert handler.slot.outcomes() == []


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_eager_tasks_end_as_any_other(launch: Launch) -> None:
    """User code may set the loop's task factory; a call that never waits then ends before its task is known."""
    handler = launch(**ASYNC).start()
    handler.acked(handler.do("start_eagerly"))
    handler.acked(handler.do("nothing"), handler.do("nothing"))


def test_a_forked_child_of_a_thread_never_answers(launch: Launch, tmp_path: Path) -> None:
    """It ends when it comes back to us; its parent's message is acked once."""
    handler = launch(**PLAIN).start()
    seq = handler.do("fork", child=tmp_path / "child")
    handler.acked(seq)
    assert (tmp_path / "child").read_text() == "0"
    assert handler.said.acks == [seq]
    assert handler.process.poll() is None


@KINDS
def test_user_code_that_closes_our_descriptors_ends_the_process(launch: Launch, keys: dict[str, Any]) -> None:
    """Nothing can be told any more, so it must not go on; the outcome is in the slot."""
    handler = launch(**keys).start()
    handler.do("close_all")
    assert handler.code() not in (0, None)


@pytest.mark.parametrize("asynchronous", [False, True], ids=["plain", "async"])
def test_a_batch_is_one_call_with_an_outcome_for_each(launch: Launch, asynchronous: bool) -> None:
    """A failure of one is not the failure of all."""
    module = "user_code_async" if asynchronous else "user_code"
    keys: dict[str, Any] = {"concurrency": 1} if asynchronous else {}
    handler = launch(
        handler=f"tests.handler.{module}:handle_list", batch=BatchSettings(size=4, wait=5.0), **keys
    ).start()
    good = [parcel(seq, orjson.dumps({"do": "nothing"}), expires=now() + 43_000) for seq in (1, 2, 3)]
    broken = parcel(4, b'{"do":"nothing"}', message_attributes={"n": {"DataType": "Binary", "BinaryValue": "%"}})
    handler.give(*good, broken)
    said = handler.hear(lambda said: len(said.acks) + len(said.others) == 4)
    assert (said.acks, [(one.seq, one.kind) for one in said.others]) == ([1, 2, 3], [(4, Kind.RETRY)])
    assert said.outcome_frames == 1


def test_a_batch_starts_when_it_is_full_or_its_first_message_has_waited(launch: Launch) -> None:
    """Full: at once. Else after `wait` seconds, with what has come."""
    handler = launch(handler="tests.handler.user_code:count", batch=BatchSettings(size=3, wait=0.3)).start()
    handler.give(*(parcel(seq) for seq in range(1, 5)))
    began = time.monotonic()
    handler.acked(1)
    handler.acked(4)
    assert time.monotonic() - began >= 0.25, "the fourth waited for others"
    assert [(one.seq, one.after) for one in handler.said.others] == [(2, 3.0), (3, 3.0)]
    handler.give(parcel(5), parcel(6))
    said = handler.hear(lambda said: 5 in said.acks)
    assert (said.others[-1].seq, said.others[-1].after) == (6, 2.0)


def test_a_batch_that_gathers_can_be_recalled(launch: Launch) -> None:
    """What waits for others has not started."""
    handler = launch(handler="tests.handler.user_code:count", batch=BatchSettings(size=3, wait=10.0)).start()
    handler.give(parcel(1), parcel(2))
    handler.pollers[-1].send(StreamFrame.RECALL, None)
    assert handler.hear(lambda said: said.returned).returned == [1, 2]
    handler.give(parcel(3), parcel(4), parcel(5))
    handler.acked(3)


def test_a_late_batch_is_interrupted_in_its_system_call(launch: Launch, tmp_path: Path) -> None:
    """One batch at a time runs on the main thread, where the signal is heard."""
    handler = launch(
        handler="tests.handler.user_code:handle_list", batch=BatchSettings(size=2, wait=0.0), timeout=0.2
    ).start()
    body = orjson.dumps({"do": "be_late", "started": str(tmp_path / "started")})
    handler.give(parcel(1, body, expires=now() + 43_000))
    eventually((tmp_path / "started").exists)
    eventually(lambda: handler.slot.running()[0].deadline < now())
    os.kill(handler.process.pid, signal.SIGUSR1)
    said = handler.hear(lambda said: said.others)
    assert (said.others[0].after, said.others[0].reason) == (2.0, "cleaned up")
