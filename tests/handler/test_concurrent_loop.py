"""Test process: several at once under a manual clock, with a runner that the test plays; see concurrent_loop.py."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from types import FrameType

import pytest

from tests.handler.parts import EXPIRES, START, TIMEOUT, Parts, parcel
from worker.handler.attempt import Attempt
from worker.handler.board import Board
from worker.handler.concurrent_loop import ConcurrentLoop
from worker.handler.perform import Outcomes
from worker.message import Kind
from worker.protocol import ControlFrame, Outcome, StreamFrame, send_messages
from worker.settings import BatchSettings
from worker.slots import ChildState, Running, Written

pytestmark = pytest.mark.usefixtures("no_descriptor_left")


class PlayedRunner:
    """Runs what the test says."""

    def __init__(self) -> None:
        self.waiting: list[Attempt] = []
        self.handed_over = 0
        self.stopped = False

    def main(self) -> None: ...

    def start(self, attempts: list[Attempt]) -> None:
        self.waiting += attempts
        self.handed_over += 1

    def stop(self) -> None:
        self.stopped = True

    def go_off(self, number: int, frame: FrameType | None, /) -> None: ...


class Several(Parts):
    """The parts of a handler that runs several at once."""

    def __init__(self, places: int, batch: BatchSettings) -> None:
        super().__init__(lambda _message: None, concurrency=places)
        self.runner = PlayedRunner()
        self.rung = 0
        self.board = Board(self.slot, timeout=TIMEOUT, clock=self.clock, ring=self._ring, endings=self.endings)
        self.several = ConcurrentLoop(
            self.runner,
            self.board,
            queue="orders",
            batch=batch,
            slot=self.slot,
            links=self.links,
            stream=self.stream,
            endings=self.endings,
            clock=self.clock,
        )
        self.attach()
        self.heard()
        self.control.receive()

    def _ring(self) -> None:
        self.rung += 1

    def turn(self) -> float | None:
        """One round: what has arrived, then what ended and what may start."""
        self.serve()
        return self.several.step(self.clock())

    def send(self, *seqs: int) -> float | None:
        send_messages(self.poller, [parcel(seq) for seq in seqs])
        return self.turn()

    def begin(self) -> Attempt:
        """The runner starts the oldest attempt."""
        attempt = self.runner.waiting.pop(0)
        self.board.begin(attempt)
        return attempt

    def end(self, attempt: Attempt, outcomes: Outcomes | None = None) -> None:
        self.board.end(attempt, outcomes or [None] * len(attempt.parcels))

    def calls(self) -> list[list[int]]:
        """The sequences of what was handed over and has not begun."""
        return [[one.seq for one in attempt.parcels] for attempt in self.runner.waiting]


Make = Callable[..., Several]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes the parts, attached to a poller; closes them afterwards."""
    made: list[Several] = []

    def start(places: int = 3, batch: BatchSettings | None = None) -> Several:
        made.append(Several(places, batch or BatchSettings()))
        return made[-1]

    yield start
    for parts in made:
        parts.close()


def test_a_message_is_named_from_the_start_of_its_function(make: Make) -> None:
    """Not from the hand-over: what waits for a thread or the loop is no suspect, and its time has not begun."""
    parts = make()
    parts.send(1, 2)
    assert parts.slot.running() == []
    parts.clock.time += 5.0
    parts.begin()
    assert parts.slot.running() == [Running(1, START + 5.0, START + 5.0 + TIMEOUT)]


def test_what_was_handed_over_counts_as_running_for_a_successor(make: Make) -> None:
    """It will not be given back, so nobody else may get it."""
    parts = make(places=2)
    parts.send(1, 2, 3)
    parts.attach(2)
    assert [{name: sorted(seqs) for name, seqs in hello.items()} for hello in parts.heard().hellos] == [
        {"running": [1, 2], "unstarted": [3]}
    ]


def test_outcomes_are_in_the_slot_before_anybody_is_woken(make: Make) -> None:
    """A death between the two finds them; what is woken once takes all that ended since."""
    parts = make()
    parts.send(1, 2)
    one, two = parts.begin(), parts.begin()
    parts.end(one, [Outcome(1, Kind.RETRY, 7.0)])
    parts.end(two)
    assert parts.slot.running() == []
    assert parts.slot.outcomes() == [Written(1, Kind.RETRY, 7.0, 1), Written(2, Kind.ACK, 0.0, 1)]
    assert parts.rung == 1
    assert parts.heard().outcome_frames == 0
    parts.turn()
    heard = parts.heard()
    assert (heard.acks, [one.seq for one in heard.others], heard.outcome_frames) == ([2], [1], 1)


def test_an_exit_tells_first_what_has_ended_beside_it(make: Make) -> None:
    """A forward's body is nowhere else: untold, the message would run again though it was done."""
    parts = make()
    parts.send(1, 2)
    one, two = parts.begin(), parts.begin()
    parts.board.exit(SystemExit(7), two.messages[0])
    parts.end(one, [Outcome(1, Kind.FORWARD, queue="q", body=b"x")])
    pid = os.fork()
    if pid == 0:
        parts.turn()
        os._exit(99)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert [(one.seq, one.kind) for one in parts.heard().others] == [(1, Kind.FORWARD)]
    assert [entry.seq for entry in parts.slot.running()] == [2]


def test_a_free_place_takes_the_next_message(make: Make) -> None:
    """As many as there are places are handed over, in one list, and no more."""
    parts = make(places=2)
    parts.send(1, 2, 3, 4)
    assert (parts.calls(), parts.runner.handed_over) == ([[1], [2]], 1)
    parts.end(parts.begin())
    parts.turn()
    assert parts.calls() == [[2], [3]]


def test_a_batch_waits_for_others_and_then_goes_as_it_is(make: Make) -> None:
    """Its first message waits `wait` seconds; a full one goes at once."""
    parts = make(places=3, batch=BatchSettings(size=3, wait=0.5))
    assert parts.send(1) == 0.5
    parts.clock.time += 0.3
    assert parts.send(2) == pytest.approx(0.2)
    assert parts.calls() == []
    parts.clock.time += 0.3
    assert parts.turn() is None
    assert parts.calls() == [[1, 2]]
    assert parts.send(3, 4, 5) is None, "one call at a time"
    parts.end(parts.begin())
    parts.turn()
    assert parts.calls() == [[3, 4, 5]]


def test_a_batch_whose_first_message_waited_for_a_call_waits_no_more(make: Make) -> None:
    """The time in which no call was free counts: else a busy handler would add `wait` seconds to every batch."""
    parts = make(places=3, batch=BatchSettings(size=3, wait=0.5))
    parts.send(1, 2, 3)
    one = parts.begin()
    assert parts.send(4) is None, "no call is free"
    parts.clock.time += 0.3
    parts.send(5)
    parts.clock.time += 0.3
    parts.end(one)
    assert parts.turn() is None
    assert parts.calls() == [[4, 5]]


def test_a_recalled_batch_leaves_no_clock_running(make: Make) -> None:
    """The next one gathers for its whole time."""
    parts = make(places=3, batch=BatchSettings(size=3, wait=0.5))
    parts.send(1)
    parts.poller.send(StreamFrame.RECALL, None)
    parts.turn()
    parts.clock.time += 0.4
    assert parts.send(2) == 0.5


def test_a_stop_gives_back_and_waits_for_what_runs(make: Make) -> None:
    """Handed over is running, begun or not."""
    parts = make(places=2)
    parts.send(1, 2, 3)
    first = parts.begin()
    parts.control.send(ControlFrame.STOP, None)
    parts.turn()
    assert parts.heard().returned == [3]
    parts.end(first)
    parts.turn()
    assert not parts.several.stopped
    parts.end(parts.begin())
    parts.turn()
    assert parts.several.stopped
    assert sorted(parts.heard().acks) == [1, 2]
    assert parts.slot.look().state is ChildState.DRAINING


def test_progress_sums_what_ran_beside_each_other(make: Make) -> None:
    """Two messages of two seconds are four seconds of work: the poller's credit goes by the mean of a message."""
    parts = make(places=2)
    parts.send(1, 2)
    attempts = [parts.begin(), parts.begin()]
    parts.turn()
    assert parts.slot.look().state is ChildState.BUSY
    parts.clock.time += 2.0
    for attempt, outcome in zip(attempts, (None, Outcome(2, Kind.REJECT)), strict=True):
        parts.end(attempt, [outcome])
    parts.turn()
    facts = parts.slot.look()
    assert (facts.done, facts.failed, facts.busy, facts.state) == (2, 1, 4.0, ChildState.READY)


def test_each_message_has_its_own_deadline(make: Make) -> None:
    """extend() moves one, up to 12 hours from its receive; after its end it moves nobody's."""
    parts = make(places=2, batch=BatchSettings(size=2, wait=0.0))
    parts.send(1, 2)
    attempt = parts.begin()
    attempt.messages[1].extend(90_000.0)
    assert [entry.deadline for entry in parts.slot.running() if entry.seq == 1] == [START + TIMEOUT]
    assert [entry.deadline for entry in parts.slot.running() if entry.seq == 2] == [EXPIRES]
    assert not attempt.overdue()
    parts.clock.time += TIMEOUT
    assert attempt.overdue()
    parts.end(attempt)
    parts.turn()
    parts.send(3, 4)
    after = parts.begin()
    attempt.messages[0].extend(5.0)
    assert {entry.deadline for entry in parts.slot.running()} == {START + 2 * TIMEOUT}
    assert len(after.messages) == 2


def test_a_lost_lease_is_shown_to_its_message_alone(make: Make) -> None:
    """The frame names the sequence."""
    parts = make(places=2)
    parts.send(1, 2)
    attempts = [parts.begin(), parts.begin()]
    parts.poller.send(StreamFrame.LOST, [2])
    parts.turn()
    assert [attempt.messages[0].lease_lost for attempt in attempts] == [False, True]
