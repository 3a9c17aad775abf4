"""Test process: what a child said last can be read after its death; see worker/slots.py."""

from __future__ import annotations

import math
import mmap
import os
import random
import subprocess
import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, TypeVar

import pytest

from worker import platform
from worker.slots import RING, ChildState, HandlerSlot, PollerSlot
from worker.telemetry import COUNTERS

pytestmark = pytest.mark.usefixtures("no_descriptor_left")

if TYPE_CHECKING:
    from _typeshed import TraceFunction

T = TypeVar("T")
Child = Callable[..., subprocess.Popen[bytes]]


def handler_slot(concurrency: int = 4) -> HandlerSlot:
    return HandlerSlot(mmap.mmap(-1, HandlerSlot.size(concurrency)), concurrency)


def test_a_fresh_slot_says_nothing() -> None:
    """Zero bytes, as the supervisor makes them, read as a child that is starting and has done nothing."""
    slot = handler_slot()
    assert (slot.running(), slot.outcomes()) == ([], [])
    assert slot.look() == (0, ChildState.STARTING, 0, 0, 0.0, 0, 0.0)
    poller = PollerSlot(mmap.mmap(-1, PollerSlot.size())).look()
    nothing = 0, ChildState.STARTING, 0.0, 0.0, 0.0, dict.fromkeys(COUNTERS, 0), "", 0.0, "", 0.0, 0.0, 0.0, 0.0
    assert poller == (*nothing, "", 0.0, 0.0)


def test_running_messages_are_named_until_they_finish() -> None:
    """Each place names its message with start and deadline; a finished one leaves its outcome in the ring."""
    slot = handler_slot()
    slot.start(0, 2**40 + 1, now=10.5, deadline=310.5)
    slot.start(3, 2**40 + 2, now=11.5, deadline=311.5)
    slot.move_deadline(3, 999.25)
    assert slot.running() == [(2**40 + 1, 10.5, 310.5), (2**40 + 2, 11.5, 999.25)]
    slot.finish(0, 2**40 + 1, kind=2, after=math.inf, attempt=3)
    assert slot.running() == [(2**40 + 2, 11.5, 999.25)]
    assert slot.outcomes() == [(2**40 + 1, 2, math.inf, 3)]


def test_the_ring_keeps_the_newest_outcomes_in_order() -> None:
    """More outcomes than the ring holds: the newest are read, oldest first, and never the one overwritten next."""
    slot = handler_slot(1)
    for seq in range(1, 3 * RING + 8):
        slot.start(0, seq, now=0.0, deadline=1.0)
        slot.finish(0, seq, kind=1, after=seq / 2, attempt=1)
    assert slot.outcomes() == [(seq, 1, seq / 2, 1) for seq in range(2 * RING + 9, 3 * RING + 8)]


def test_the_ring_goes_on_where_the_last_writer_stopped() -> None:
    """A second HandlerSlot on the same mapping continues the count instead of starting over."""
    memory = mmap.mmap(-1, HandlerSlot.size(1))
    for seq in (1, 2, 3):
        HandlerSlot(memory, 1).finish(0, seq, kind=1, after=0.0, attempt=1)
    assert [written.seq for written in HandlerSlot(memory, 1).outcomes()] == [1, 2, 3]


def test_facts_of_a_handler_round_trip() -> None:
    """What a handler tells of itself is what the supervisor reads, and touches neither running nor the ring."""
    slot = handler_slot()
    slot.start(1, 5, now=1.0, deadline=2.0)
    slot.finish(0, 4, kind=1, after=0.0, attempt=1)
    slot.tell(pid=2**22, state=ChildState.DRAINING)
    slot.progress(done=10, failed=3, busy=4.25, resident=2**35, now=77.5)
    assert slot.look() == (2**22, ChildState.DRAINING, 10, 3, 4.25, 2**35, 77.5)
    assert [running.seq for running in slot.running()] == [5]
    assert [written.seq for written in slot.outcomes()] == [4]


def test_facts_of_a_poller_round_trip() -> None:
    """Every counter arrives under its own name, beside state, times, trouble and pace."""
    slot = PollerSlot(mmap.mmap(-1, PollerSlot.size()))
    counters = {name: 2**40 + place for place, name in enumerate(COUNTERS)}
    told = {"now": 1.5, "received_at": 0.5, "quiet_until": 9.5, "trouble": "denied", "trouble_since": 0.25}
    slot.tell(pid=7, state=ChildState.READY, **told)
    slot.show(limit="handlers", per_second=1234.5, cpu=0.75, receive_seconds=0.012, settle_seconds=0.009)
    slot.count(counters)
    slot.tell_emptiness("in_flight", busy_until=6.5, since=7.5)
    facts = slot.look()
    assert facts[:8] == (7, ChildState.READY, 1.5, 0.5, 9.5, counters, "denied", 0.25)
    assert facts[8:13] == ("handlers", 1234.5, 0.75, 0.012, 0.009)
    assert facts[13:] == ("in_flight", 6.5, 7.5)


def at_every_line(call: Callable[[], T], then: Callable[[], object]) -> T:
    """Run `then` before each line of `call` and after its last: what another process could see or do meanwhile."""

    def trace(_frame: FrameType, _event: str, _argument: object) -> TraceFunction:
        sys.settrace(None)
        then()
        sys.settrace(trace)
        return trace

    sys.settrace(trace)
    try:
        result = call()
    finally:
        sys.settrace(None)
    then()
    return result


def test_a_finished_message_is_known_at_every_step() -> None:
    """From start to the last line of finish, a message is in `running` or in the ring, so no death can hide it."""
    slot, steps = handler_slot(1), []

    def look() -> None:
        known = [running.seq for running in slot.running()] + [outcome.seq for outcome in slot.outcomes()]
        steps.append(known)
        assert 7 in known

    slot.start(0, 7, now=1.0, deadline=2.0)
    at_every_line(lambda: slot.finish(0, 7, kind=1, after=0.0, attempt=1), look)
    assert [7] in steps
    assert [7, 7] in steps


def test_no_running_message_shows_the_times_of_another() -> None:
    """Whenever the handler goes on to its next message while we look, each entry is of one message."""
    slot, seq = handler_slot(1), 0

    def next_message() -> None:
        nonlocal seq
        slot.finish(0, seq, kind=1, after=0.0, attempt=1)
        seq += 1
        slot.start(0, seq, now=float(seq), deadline=seq + 0.5)

    next_message()
    for pauses in range(10):
        left = pauses

        def once() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                next_message()

        for running in at_every_line(slot.running, once):
            assert (running.started, running.deadline) == (running.seq, running.seq + 0.5)


HANDLER = """
import mmap, sys
from worker.slots import ChildState, HandlerSlot
from worker.platform import map_file
slot = HandlerSlot(map_file(int(sys.argv[1])), 2)
slot.tell(pid=1, state=ChildState.BUSY)
seq = 0
while True:
    seq += 1
    slot.start(seq % 2, seq, now=float(seq), deadline=seq + 0.25)
    slot.progress(done=seq, failed=seq, busy=float(seq), resident=seq, now=float(seq))
    slot.finish(seq % 2, seq, kind=seq % 4 + 1, after=float(seq), attempt=seq % 7)
"""


def whole(slot: HandlerSlot, *, alive: bool) -> int:
    """Everything in the slot belongs together; returns the last sequence the ring knows."""
    outcomes = slot.outcomes()
    for outcome in outcomes if not alive else ():  # the ring is read after a death only
        assert (outcome.kind, outcome.after, outcome.attempt) == (outcome.seq % 4 + 1, outcome.seq, outcome.seq % 7)
    numbers = [outcome.seq for outcome in outcomes]
    assert alive or numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    for running in slot.running():
        assert running.started == running.seq
        assert running.deadline == running.seq + 0.25
        assert alive or running.seq in (numbers[-1], numbers[-1] + 1)
    facts = slot.look()
    assert facts.done
    assert facts.busy
    assert facts.progress
    return max(numbers, default=0)


def test_a_slot_reads_whole_while_it_is_written_and_after_a_kill(python: Child) -> None:
    """A reader never sees a zero, half a number, or a running entry of two messages; nor does one after a SIGKILL."""
    draw = random.Random(5)
    for _ in range(8):
        fd = platform.anonymous_file("slot", HandlerSlot.size(2))
        memory = platform.map_file(fd)
        child = python(HANDLER, fd)
        os.close(fd)
        slot, goal = HandlerSlot(memory, 2), draw.randrange(1000, 20_000)
        while not slot.outcomes():
            assert child.poll() is None
        while whole(slot, alive=True) < goal:
            assert child.poll() is None
        child.kill()
        child.wait()
        assert whole(slot, alive=False) >= goal


POLLER = """
import sys
from worker.slots import ChildState, PollerSlot
from worker.platform import map_file
from worker.telemetry import COUNTERS
slot, turn = PollerSlot(map_file(int(sys.argv[1]))), 0
while True:
    turn += 1
    slot.tell(pid=5, state=ChildState.READY, now=1e6 + turn / 3, received_at=1e6 + turn / 3, quiet_until=1e6)
    slot.count(dict.fromkeys(COUNTERS, turn))
"""


def test_a_pollers_progress_never_reads_as_zero(python: Child) -> None:
    """The supervisor kills a poller by the age of its progress, so no look may catch a number half written."""
    fd = platform.anonymous_file("slot", PollerSlot.size())
    slot = PollerSlot(platform.map_file(fd))
    child = python(POLLER, fd)
    os.close(fd)
    last = slot.look()
    while last.counters["in_flight"] < 20_000:
        assert child.poll() is None
        facts = slot.look()
        if last.counters["in_flight"]:
            assert (facts.pid, facts.state, facts.quiet_until) == (5, ChildState.READY, 1e6)
            assert facts.progress >= last.progress
            assert facts.received_at >= last.received_at
            assert all(facts.counters[name] >= last.counters[name] for name in COUNTERS)
        last = facts
