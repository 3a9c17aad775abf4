"""Test process: what a producer sends next, and what a failure leads to; see worker/policy/outbox.py."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.policy.failures import Failure, FailureKind
from worker.policy.outbox import Outbox
from worker.policy.parcel import Parcel, Verdict
from worker.policy.requests import BATCH_BYTES, Outgoing

LOST = Failure(FailureKind.TRANSIENT, "ConnectionClosedError", "no answer came")
THROTTLED = Failure(FailureKind.THROTTLED, "RequestThrottled", "slower")
INVALID = Failure(FailureKind.INVALID, "InvalidParameterValue", "must be shorter")
WANTS_IDS = Failure(FailureKind.INVALID, "InvalidParameterValue", "either ContentBasedDeduplication or an id")


def outbox(*, linger: float = 1.0, fifo: bool = False) -> Outbox:
    return Outbox(linger=linger, fifo=fifo, chance=lambda: 1.0)


def parcel(
    name: str = "x", *, group: str | None = None, size: int = 10, at: float = 0.0, lives: float = 60.0, **fields: Any
) -> Parcel:
    """One that is admitted at `at` and tried for `lives` seconds."""
    outgoing = Outgoing(name.encode(), {}, group, fields.pop("deduplication_id", None))
    return Parcel(outgoing, size, admitted_at=at, deadline=at + lives, **fields)


def filled(box: Outbox, *parcels: Parcel) -> Outbox:
    for one in parcels:
        box.add(one)
    return box


def bodies(parcels: list[Parcel]) -> str:
    return "".join(one.outgoing.body.decode() for one in parcels)


def confirm(box: Outbox, batch: list[Parcel], now: float = 0.0) -> Verdict:
    return box.answered(batch, (None,) * len(batch), ids=tuple("i" * len(batch)), now=now)


class TestBatches:
    """When one goes, and what is in it."""

    def test_ten_go_at_once_and_the_rest_lingers(self) -> None:
        """The tenth makes a batch whole; what follows waits for more, till its own first one has waited enough."""
        box = filled(outbox(), *(parcel(name, at=0.5) for name in "abcdefghijkl"))
        assert bodies(box.next(0.5)) == "abcdefghij"
        assert box.next(1.4) == []
        assert box.due(1.4) == pytest.approx(0.1)
        assert bodies(box.next(1.5)) == "kl"

    def test_bytes_bound_a_batch(self) -> None:
        """What would be too large with one more goes without it, at once; one alone may have all bytes."""
        most = BATCH_BYTES // 2
        box = filled(outbox(), parcel("a", size=most), parcel("b", size=most), parcel("c", size=BATCH_BYTES))
        assert bodies(box.next(0.0)) == "ab"
        assert box.next(0.0) == []
        assert bodies(box.next(1.0)) == "c"

    def test_what_is_hurried_does_not_linger(self) -> None:
        """And what comes after it lingers again, once the hurried are gone."""
        box = filled(outbox(), parcel("a"))
        box.hurry()
        batch = box.next(0.0)
        assert bodies(batch) == "a"
        confirm(box, batch)
        filled(box, parcel("b"))
        assert box.next(0.0) == []

    def test_the_other_side_is_woken_for_a_whole_batch_only(self) -> None:
        """The first starts the clock; then those that make ten; none while all requests rest."""
        box = outbox()
        assert box.wants(0.0) == 1
        filled(box, parcel(), parcel(), parcel())
        assert box.wants(0.0) == 7
        box.failed(box.next(1.0), THROTTLED, sent_at=1.0, now=1.0)
        filled(box, parcel())
        assert box.wants(1.05) == float("inf")


class TestFailures:
    """What another try may cure is tried again, for so long; the rest fails at once."""

    def test_an_entry_that_failed_is_tried_again_alone_in_its_time(self) -> None:
        """Its neighbours are sent; it goes again after a backoff that doubles."""
        box = filled(outbox(), parcel("a"), parcel("b"))
        batch = box.next(1.0)
        verdict = box.answered(batch, (LOST, None), ids=("", "id"), now=1.0)
        assert [(bodies([one]), name) for one, name in verdict.sent] == [("b", "id")]
        assert verdict.failed == []
        assert box.next(1.09) == []
        again = box.next(1.1)
        assert bodies(again) == "a"
        box.answered(again, (LOST,), ids=("",), now=1.1)
        assert box.due(1.1) == pytest.approx(0.2)

    @pytest.mark.parametrize("kind", [kind for kind in FailureKind if kind not in {"lease"}])
    def test_only_what_may_pass_is_tried_again(self, kind: FailureKind) -> None:
        """A lost connection, throttling, credentials; not a denied action, a missing queue, a bad message."""
        box = filled(outbox(), parcel())
        verdict = box.answered(box.next(1.0), (Failure(kind, "Code", ""),), ids=("",), now=1.0)
        assert bool(verdict.failed) is (kind not in {"transient", "throttled", "credentials", "capacity"})

    def test_nothing_is_tried_beyond_its_deadline(self) -> None:
        """Where the backoff would end after it, and where its turn does not come: both name the last failure."""
        box = filled(outbox(), parcel("a", lives=1.05))
        verdict = box.failed(box.next(1.0), LOST, sent_at=1.0, now=1.0)
        assert verdict.failed[0][1] is LOST
        filled(box, parcel("b", at=2.0, lives=3.0), parcel("c", at=2.0, lives=5.0))
        box.failed(box.next(3.0), LOST, sent_at=3.0, now=3.0)
        assert box.expires(3.0) == pytest.approx(2.0)
        assert box.expire(4.9) == []
        assert [(bodies([one]), failure) for one, failure in box.expire(5.0)] == [("b", LOST)]
        assert bodies(box.next(5.0)) == "c"

    def test_what_is_on_its_way_is_not_given_up_before_its_answer(self) -> None:
        """SQS may just be taking it."""
        box = filled(outbox(), parcel(lives=1.0))
        batch = box.next(1.0)
        assert box.expire(2.0) == []
        assert len(confirm(box, batch, 2.0).sent) == 1
        assert len(box) == 0

    def test_throttling_rests_all_and_success_ends_the_rest(self) -> None:
        """What is new waits as well; requests that crossed the first refused one count once."""
        box = filled(outbox(linger=0.0), *(parcel(name) for name in "abcdefghijklmnopqrstu"))
        first, second, third = box.next(1.0), box.next(1.0), box.next(1.0)
        box.failed(first, THROTTLED, sent_at=1.0, now=1.2)
        box.failed(second, THROTTLED, sent_at=1.0, now=1.21)
        assert box.failing == 1
        filled(box, parcel("z", at=1.2))
        assert box.next(1.29) == []
        confirm(box, third, 1.29)
        assert bodies(box.next(1.29)) == "z"

    def test_a_lost_answer_is_remembered(self) -> None:
        """Of a request that left nobody knows what became; one that found no connection never left."""
        for code, maybe in (("ConnectionClosedError", True), ("TooSlow", True), ("EndpointConnectionError", False)):
            box = filled(outbox(), parcel(lives=1.0))
            failure = Failure(FailureKind.TRANSIENT, code, "")
            verdict = box.failed(box.next(1.0), failure, sent_at=1.0, now=1.0)
            assert [one.maybe_sent for one, _ in verdict.failed] == [maybe]

    def test_a_batch_that_is_refused_for_one_entry_goes_one_by_one(self) -> None:
        """Only the guilty one fails, and what comes later goes in batches again."""
        box = filled(outbox(linger=0.0), *(parcel(name) for name in "abc"))
        assert box.failed(box.next(0.0), INVALID, sent_at=0.0, now=0.0).failed == []
        a, b, c = box.next(0.0), box.next(0.0), box.next(0.0)
        assert [bodies(one) for one in (a, b, c)] == ["a", "b", "c"]
        assert [bodies([one]) for one, _ in box.failed(b, INVALID, sent_at=0.0, now=0.0).failed] == ["b"]
        filled(box, parcel("d"), parcel("e"))
        assert bodies(box.next(0.0)) == "de"

    def test_one_that_goes_alone_joins_nobody(self) -> None:
        """Nor does it take along what stands before or behind it in the line."""
        box = filled(outbox(linger=0.0), parcel("x"))
        box.failed(box.next(0.0), LOST, sent_at=0.0, now=0.0)  # rests till 0.1, and is then the first of the line
        filled(box, parcel("a"), parcel("b"))
        box.failed(box.next(0.0), INVALID, sent_at=0.0, now=0.0)
        filled(box, parcel("c"))
        assert [bodies(box.next(0.1)) for _ in range(4)] == ["x", "a", "b", "c"]


class TestFifo:
    """One message of a group on its way; ids that make a retry no second message."""

    def test_a_group_has_one_message_on_its_way(self) -> None:
        """A batch holds the heads of groups; the next of a group goes when its head is done."""
        box = filled(outbox(fifo=True), *(parcel(name, group=name.lower()) for name in "aAbAB"))
        batch = box.next(1.0)
        assert bodies(batch) == "ab"
        assert box.next(1.0) == []
        confirm(box, batch, 1.0)
        assert bodies(box.next(1.0)) == "AB"

    def test_a_retry_keeps_its_place(self) -> None:
        """While the head of a group backs off nothing of it overtakes; other groups go on."""
        box = filled(outbox(fifo=True, linger=0.0), *(parcel(name, group=name.lower()) for name in "aAbB"))
        box.answered(box.next(0.0), (LOST, None), ids=("", "id"), now=0.0)
        assert bodies(box.next(0.0)) == "B"
        batch = box.next(0.2)
        assert bodies(batch) == "a"
        confirm(box, batch, 0.2)
        assert bodies(box.next(0.2)) == "A"

    def test_one_that_is_given_up_lets_its_group_go_on(self) -> None:
        """Refused for good, past its deadline while it rests or waits, or withdrawn: the next one takes its place."""
        box = filled(outbox(fifo=True, linger=0.0), parcel("a", group="g"), parcel("b", group="g", lives=1.0))
        filled(box, parcel("c", group="g"), parcel("d", group="g"), parcel("e", group="g", lives=3.0))
        filled(box, parcel("f", group="g"))
        box.answered(box.next(0.0), (INVALID,), ids=("",), now=0.0)
        box.answered(box.next(0.0), (LOST,), ids=("",), now=0.8)
        assert [bodies([one]) for one, _ in box.expire(1.0)] == ["b"]
        (c,) = box.next(1.0)
        box.withdraw(c)
        d = box.next(1.0)
        assert bodies(d) == "d"
        assert [bodies([one]) for one, _ in box.expire(3.0)] == ["e"]
        confirm(box, d, 3.0)
        assert bodies(box.next(3.0)) == "f"

    def test_ids_of_our_own_are_given_once_the_queue_wants_them(self) -> None:
        """Not before: a queue with content-based deduplication would lose its meaning. Then the same for each try."""
        box = filled(outbox(fifo=True, linger=0.0), parcel("a", group="a", own_id="o"), parcel("b", group="b"))
        batch = box.next(0.0)
        assert [box.outgoing(one).deduplication_id for one in batch] == [None, None]
        assert box.failed(batch, WANTS_IDS, sent_at=0.0, now=0.0).failed == []
        again = box.next(0.0)
        assert bodies(again) == "ab"
        assert [box.outgoing(one).deduplication_id for one in again] == ["o", None]
        box.failed(again, LOST, sent_at=0.0, now=0.0)
        assert [box.outgoing(one).deduplication_id for one in box.next(1.0)] == ["o", None]

    def test_a_server_may_refuse_entry_by_entry(self) -> None:
        """As LocalStack does: what had an id of its caller's is sent, the other goes again with ours."""
        box = filled(
            outbox(fifo=True, linger=0.0),
            parcel("a", group="a", own_id="1"),
            parcel("b", group="b", deduplication_id="d"),
        )
        verdict = box.answered(box.next(0.0), (WANTS_IDS, None), ids=("", "id"), now=0.0)
        assert verdict.failed == []
        assert [box.outgoing(one).deduplication_id for one in box.next(0.0)] == ["1"]

    def test_a_queue_that_refuses_ids_as_well_is_asked_twice_only(self) -> None:
        """The same refusal of a message with an id is final."""
        box = filled(outbox(fifo=True, linger=0.0), parcel("a", group="a", own_id="1"))
        assert box.failed(box.next(0.0), WANTS_IDS, sent_at=0.0, now=0.0).failed == []
        assert len(box.failed(box.next(0.0), WANTS_IDS, sent_at=0.0, now=0.0).failed) == 1

    def test_batches_that_crossed_the_lesson_go_again_as_well(self) -> None:
        """They were sent without ids before the first refusal came."""
        box = filled(
            outbox(fifo=True, linger=0.0),
            parcel("a", group="a", own_id="1", size=BATCH_BYTES),
            parcel("b", group="b", own_id="2", size=BATCH_BYTES),
        )
        first, second = box.next(0.0), box.next(0.0)
        for batch in (first, second):
            assert box.failed(batch, WANTS_IDS, sent_at=0.0, now=0.0).failed == []

    def test_a_callers_id_is_kept(self) -> None:
        """Ours is for messages without one."""
        box = filled(outbox(fifo=True, linger=0.0), parcel("a", group="a", deduplication_id="mine", own_id=""))
        (one,) = box.next(0.0)
        assert box.outgoing(one).deduplication_id == "mine"


@given(seed=st.integers(0, 2**32), fifo=st.booleans())
def test_each_parcel_ends_once_and_groups_keep_their_order(seed: int, fifo: bool) -> None:
    """Whatever fails: each is sent or given up, none twice; a FIFO group is sent in order, one at a time."""
    draw = random.Random(seed)
    box = Outbox(linger=0.05, fifo=fifo, chance=draw.random)
    flying: deque[list[Parcel]] = deque()
    ended: dict[int, str] = {}
    sent: list[Parcel] = []
    now, added = 0.0, 0

    def end(parcels: list[Parcel], how: str) -> None:
        for one in parcels:
            assert one.number not in ended
            ended[one.number] = how

    for step in range(600):
        now += draw.random() * 0.2
        if step < 200:
            for _ in range(draw.randrange(4)):
                added += 1
                box.add(
                    parcel(group=f"g{draw.randrange(3)}", at=now, lives=8.0, size=draw.choice([9, BATCH_BYTES // 3]))
                )
        end([one for one, _ in box.expire(now)], "expired")
        while len(flying) < 3 and (batch := box.next(now)):
            groups = [one.outgoing.group_id for other in (*flying, batch) for one in other]
            assert not fifo or len(set(groups)) == len(groups)
            assert len(batch) <= 10
            assert sum(one.size for one in batch) <= BATCH_BYTES
            flying.append(batch)
        if flying and draw.random() < 0.7:
            batch = flying.popleft()
            if draw.random() < 0.3:
                verdict = box.failed(batch, draw.choice([LOST, THROTTLED, INVALID]), sent_at=now - 0.1, now=now)
            else:
                results = tuple(draw.choice([None, None, LOST, INVALID]) for _ in batch)
                verdict = box.answered(batch, results, ids=("id",) * len(batch), now=now)
            end([one for one, _ in verdict.sent], "sent")
            sent += [one for one, _ in verdict.sent]
            end([one for one, _ in verdict.failed], "failed")
    assert not flying
    assert len(box) == 0
    assert set(ended) == set(range(1, added + 1))
    if fifo:
        for name in ("g0", "g1", "g2"):
            numbers = [one.number for one in sent if one.outgoing.group_id == name]
            assert numbers == sorted(numbers)
