"""Test process: the lease table tells a successor the truth, whenever its writer died; see worker/leases.py."""

from __future__ import annotations

import mmap
import os
import random
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from worker import platform
from worker.leases import ATTEMPTS, CAPACITY, MOST_CAPACITY, Lease, LeaseState, LeaseTable, capacity

pytestmark = pytest.mark.usefixtures("no_descriptor_left")

Child = Callable[..., subprocess.Popen[bytes]]


def table(capacity: int = 8) -> LeaseTable:
    return LeaseTable(mmap.mmap(-1, LeaseTable.size(capacity)))


def add(to: LeaseTable, seq: int, **fields: Any) -> int:
    filled: dict[str, Any] = {"message_id": f"id-{seq}", "receipt": "r" * 400, "group": "", "attempts": 1} | fields
    return to.add(seq=seq, lease_end=seq + 60.5, received_at=seq + 0.5, **filled)


def test_a_record_round_trips() -> None:
    """Every field that was written is read, at the limits of SQS: a group of 128 and a receipt of 1,024 characters."""
    leases = table()
    place = add(leases, 2**55 + 1, message_id="m" * 100, receipt="R" * 1024, group="g" * 128, attempts=3)
    assert leases.records() == [
        Lease(
            place=place,
            state=LeaseState.READY,
            handler=0,
            kind=0,
            attempts=3,
            crashes=0,
            seq=2**55 + 1,
            lease_end=2**55 + 61.5,
            received_at=2**55 + 1.5,
            message_id="m" * 100,
            receipt="R" * 1024,
            group="g" * 128,
        )
    ]


def test_a_record_follows_its_delivery() -> None:
    """Dispatched names the handler, settling keeps it and tells the outcome, ready forgets both, removed is gone."""
    leases = table()
    place = add(leases, 1)
    leases.dispatch(place, 2**32 - 1)
    leases.extend(place, 99.25)
    (record,) = leases.records()
    assert (record.state, record.handler, record.lease_end) == (LeaseState.DISPATCHED, 2**32 - 1, 99.25)
    leases.settle(place, 3)
    (record,) = leases.records()
    assert (record.state, record.handler, record.kind) == (LeaseState.SETTLING, 2**32 - 1, 3)
    leases.ready(place, attempts=4, crashes=2)
    (record,) = leases.records()
    assert (record.state, record.handler, record.kind) == (LeaseState.READY, 0, 0)
    assert (record.attempts, record.crashes, record.message_id) == (4, 2, "id-1")
    leases.remove(place)
    assert leases.records() == []


def test_a_full_table_is_a_bound() -> None:
    """`free` says how many more fit; beyond it add() raises IndexError and changes nothing; a removal makes room."""
    leases = table(3)
    places = [add(leases, seq) for seq in (1, 2, 3)]
    assert leases.free == 0
    with pytest.raises(IndexError):
        add(leases, 4)
    assert [record.seq for record in leases.records()] == [1, 2, 3]
    leases.remove(places[1])
    assert leases.free == 1
    add(leases, 5)
    assert [record.seq for record in leases.records()] == [1, 3, 5]


def test_the_shipped_size_holds_its_capacity() -> None:
    """A table of the default size has 4,096 places, all usable and apart from each other."""
    leases = table(CAPACITY)
    for seq in range(1, CAPACITY + 1):
        add(leases, seq, group=f"group-{seq}")
    assert [(record.seq, record.message_id, record.group) for record in leases.records()] == [
        (seq, f"id-{seq}", f"group-{seq}") for seq in range(1, CAPACITY + 1)
    ]


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"receipt": "r" * 1025}, {"receipt": ""}),
        ({"receipt": "ü" * 600}, {"receipt": ""}),
        ({"message_id": "ü" * 100}, {"message_id": "ü" * 64}),
        ({"group": "x" + "ü" * 100}, {"group": "x" + "ü" * 63 + "\ufffd"}),
        ({"group": "bad \ud800"}, {"group": "bad ?"}),
        ({"attempts": 70_000}, {"attempts": 65_535}),
    ],
)
def test_what_does_not_fit_is_cut_and_harms_no_neighbour(fields: dict[str, Any], kept: dict[str, Any]) -> None:
    """Values beyond SQS's own limits never raise and never reach into the next field or the next record."""
    leases = table(2)
    add(leases, 1, group="before")
    add(leases, 2, **fields)
    first, second = leases.records()
    assert (first.seq, first.message_id, first.group, first.receipt) == (1, "id-1", "before", "r" * 400)
    assert second.seq == 2
    assert {name: getattr(second, name) for name in kept} == kept


def test_attempt_ids_are_remembered_until_their_answer_came() -> None:
    """Each of the slots keeps one ReceiveRequestAttemptId; an empty one forgets it; records are untouched."""
    leases = table()
    add(leases, 1)
    names = [f"{number:08}-1111-2222-3333-444444444444" for number in range(ATTEMPTS)]
    for slot, name in enumerate(names):
        leases.remember_attempt(slot, name)
    assert leases.attempts() == names
    leases.remember_attempt(0, "")
    leases.remember_attempt(5, "short")
    assert leases.attempts() == [*names[1:5], "short", *names[6:]]
    assert [record.seq for record in leases.records()] == [1]


class TableHistory(RuleBasedStateMachine):
    """A poller and its successors: the table equals a dictionary, also through the eyes of every successor."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = mmap.mmap(-1, LeaseTable.size(5))
        self.leases = LeaseTable(self.memory)
        self.expected: dict[int, tuple[int, LeaseState, int, float]] = {}
        self.seq = 0

    @precondition(lambda self: len(self.expected) < 5)
    @rule()
    def add(self) -> None:
        self.seq += 1
        self.expected[add(self.leases, self.seq)] = (self.seq, LeaseState.READY, 0, self.seq + 60.5)

    @precondition(lambda self: self.expected)
    @rule(data=st.data(), handler=st.integers(1, 2**32 - 1), kind=st.integers(1, 4), lease_end=st.floats(0, 1e9))
    def change(self, data: st.DataObject, handler: int, kind: int, lease_end: float) -> None:
        place = data.draw(st.sampled_from(sorted(self.expected)))
        seq, state, held_by, until = self.expected[place]
        match data.draw(st.sampled_from(["dispatch", "ready", "settle", "extend", "remove"])):
            case "dispatch":
                self.leases.dispatch(place, handler)
                state, held_by = LeaseState.DISPATCHED, handler
            case "ready":
                self.leases.ready(place, attempts=1, crashes=0)
                state, held_by = LeaseState.READY, 0
            case "settle":
                self.leases.settle(place, kind)
                state = LeaseState.SETTLING
            case "extend":
                self.leases.extend(place, lease_end)
                until = lease_end
            case "remove":
                self.leases.remove(place)
                del self.expected[place]
                return
        self.expected[place] = (seq, state, held_by, until)

    @rule()
    def die(self) -> None:
        self.leases = LeaseTable(self.memory)

    @invariant()
    def the_table_tells_the_truth(self) -> None:
        for eyes in (self.leases, LeaseTable(self.memory)):
            assert eyes.free == 5 - len(self.expected)
            told = {r.place: (r.seq, r.state, r.handler, r.lease_end) for r in eyes.records()}
            assert told == self.expected


test_the_table_through_any_history_of_successors = TableHistory.TestCase


WRITER = """
import random, sys
from worker.leases import LeaseTable
from worker.platform import map_file
leases, draw, seq, held = LeaseTable(map_file(int(sys.argv[1]))), random.Random(int(sys.argv[2])), 0, []
while True:
    leases.remember_attempt(seq % 4, "%036d" % seq if seq % 8 < 4 else "")
    seq += 1
    text = str(seq)
    held.append((leases.add(seq=seq, message_id=text * 9, receipt=text * 50, group=text * 3, lease_end=1e6 + seq,
                            received_at=float(seq), attempts=seq % 1000), seq))
    place, number = draw.choice(held)
    leases.dispatch(place, number)
    leases.extend(place, 1e6 + number + 0.5)
    place, number = draw.choice(held)
    leases.ready(place, attempts=number % 1000, crashes=number % 7)
    place, number = draw.choice(held)
    leases.dispatch(place, number)
    leases.settle(place, number % 4 + 1)
    if len(held) == 50:
        leases.remove(held.pop(draw.randrange(50))[0])
"""


def check_whole(leases: LeaseTable) -> None:
    """Every record agrees with itself: all its fields come from the same sequence."""
    records = leases.records()
    assert len({record.seq for record in records}) == len(records) <= 51
    for record in records:
        text = str(record.seq)
        assert (record.message_id, record.receipt, record.group) == (text * 9, text * 50, text * 3)
        assert (record.received_at, record.attempts) == (record.seq, record.seq % 1000)
        assert record.lease_end in (1e6 + record.seq, 1e6 + record.seq + 0.5)
        assert record.crashes in (0, record.seq % 7)
        assert record.kind in (0, record.seq % 4 + 1)
        assert record.handler == (0 if record.state is LeaseState.READY else record.seq)
    assert all(len(attempt) == 36 and attempt.isdigit() for attempt in leases.attempts())


def test_a_writer_killed_at_any_moment_leaves_whole_records(python: Child) -> None:
    """SIGKILL of real writers at random moments: each record is there with all its fields, or absent."""
    draw = random.Random(11)
    for turn in range(12):
        fd = platform.anonymous_file("leases", LeaseTable.size(64))
        leases = LeaseTable(platform.map_file(fd))
        child = python(WRITER.replace("sys.argv[2]", str(turn)), fd)
        os.close(fd)
        goal = draw.randrange(100, 4000)
        while max((record.seq for record in leases.records()), default=0) < goal:
            assert child.poll() is None
        child.kill()
        child.wait()
        check_whole(leases)
        successor = LeaseTable(leases._memory)
        held = len(successor.records())
        assert successor.free == 64 - held
        add(successor, 2**41)
        assert len(successor.records()) == held + 1


BEATER = """
import sys
from worker.leases import LeaseTable
from worker.platform import map_file
leases, turn = LeaseTable(map_file(int(sys.argv[1]))), 0
place = leases.add(seq=7, message_id="m", receipt="r", group="g", lease_end=1e6, received_at=1.0, attempts=1)
while True:
    turn += 1
    leases.dispatch(place, 9)
    leases.extend(place, 1e6 + turn / 3)
    leases.settle(place, 2)
    leases.ready(place, attempts=1, crashes=0)
"""


def test_a_record_is_never_seen_without_its_state_or_its_lease(python: Child) -> None:
    """While a living poller changes a record, no look finds it gone, or its lease end between the old and the new."""
    fd = platform.anonymous_file("leases", LeaseTable.size(4))
    leases = LeaseTable(platform.map_file(fd))
    child = python(BEATER, fd)
    os.close(fd)
    while not leases.records():
        assert child.poll() is None
    last = 1e6
    while last < 1e6 + 5000:
        assert child.poll() is None
        (record,) = leases.records()
        assert record.lease_end >= last
        assert record.attempts == 1
        last = record.lease_end


@pytest.mark.parametrize(
    ("running", "ready", "expected"),
    [(8, 1000, CAPACITY), (1000, 1000, CAPACITY), (4000, 1000, 9000), (100_000, 1000, MOST_CAPACITY)],
)
def test_a_table_has_room_for_what_runs_and_for_its_deletes(running: int, ready: int, expected: int) -> None:
    """As many as run may wait for a delete, beside the ready line; shared memory is bounded."""
    assert capacity(running, ready) == expected
