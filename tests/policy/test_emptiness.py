"""When a queue counts as empty, and what is waited for until then."""

from __future__ import annotations

import pytest

from worker.policy.emptiness import ALONE, APART, MEANING, RECEIVES, SPACING, Evidence
from worker.policy.requests import Depth
from worker.telemetry import AWAITED

NOTHING = Depth(0, 0, 0)


def receives(evidence: Evidence, count: int, *, start: float, apart: float = 1.0) -> float:
    """So many in a row bring nothing, each as long under way; the time after them."""
    for number in range(count):
        sent_at = start + number * apart
        evidence.received(0, sent_at=sent_at, now=sent_at + apart)
    return start + count * apart


def looks(evidence: Evidence, *starts: float, depth: Depth = NOTHING) -> None:
    for start in starts:
        evidence.looked(depth, sent_at=start, now=start + 0.01)


def known_empty(start: float = 10.0) -> Evidence:
    evidence = Evidence()
    receives(evidence, RECEIVES, start=start)
    looks(evidence, start + 1, start + 1 + APART)
    assert evidence.since == start
    return evidence


def test_receives_and_two_looks_say_it_together() -> None:
    """Neither does alone, and one look is not enough: its numbers are approximate."""
    evidence = Evidence()
    now = receives(evidence, 100, start=10.0)
    assert (evidence.since, evidence.awaits(now)) == (0.0, "receives")
    looks(evidence, now)
    assert evidence.since == 0.0
    looks(evidence, now + APART)
    assert (evidence.since, evidence.awaits(now + APART)) == (now - RECEIVES, "")
    fewer = Evidence()
    receives(fewer, RECEIVES - 1, start=10.0)
    looks(fewer, 20.0, 30.0)
    assert fewer.since == 0.0


def test_the_evidence_moves_on() -> None:
    """`since` is the oldest of the last two looks and three receives: of what was sent later, nothing is known yet."""
    evidence = known_empty()
    looks(evidence, 30.0, 35.0)
    assert evidence.since == 10.0
    receives(evidence, RECEIVES, start=32.0)
    assert evidence.since == 30.0
    receives(evidence, RECEIVES, start=36.0)
    looks(evidence, 40.0)
    assert evidence.since == 35.0
    looks(evidence, 45.0)
    assert evidence.since == 36.0


def test_looks_wait_for_an_empty_receive_and_come_apart() -> None:
    """A busy queue is not looked at."""
    evidence = Evidence()
    assert evidence.look_due() == float("inf")
    receives(evidence, 1, start=10.0)
    assert evidence.look_due() <= 11.0
    looks(evidence, 11.0)
    assert evidence.look_due() == pytest.approx(11.0 + APART, abs=0.1)


@pytest.mark.parametrize(
    ("depth", "awaits"),
    [(Depth(1, 0, 0), "visible"), (Depth(0, 2, 1), "in_flight"), (Depth(0, 0, 3), "delayed")],
)
def test_what_a_look_finds_is_waited_for(depth: Depth, awaits: str) -> None:
    """One that finds something undoes those before."""
    evidence = known_empty()
    looks(evidence, 30.0, depth=depth)
    assert (evidence.since, evidence.awaits(31.0)) == (0.0, awaits)
    receives(evidence, RECEIVES, start=36.0)
    looks(evidence, 35.0)
    assert evidence.since == 0.0
    looks(evidence, 40.0)
    assert evidence.since == 35.0


def test_what_the_poller_holds_starts_it_all_over() -> None:
    """Receives and looks that were under way with it do not count either."""
    evidence = known_empty()
    evidence.holds(1, now=50.0)
    assert (evidence.since, evidence.awaits(50.0)) == (0.0, "held")
    evidence.holds(0, now=51.0)
    evidence.received(0, sent_at=49.5, now=51.0)
    assert evidence.look_due() == float("inf")
    looks(evidence, 49.9)
    receives(evidence, RECEIVES, start=51.0)
    looks(evidence, 55.0)
    assert evidence.since == 0.0
    looks(evidence, 60.0)
    assert evidence.since == 51.0


def test_what_it_has_hidden_comes_back_first() -> None:
    """Whatever the approximate numbers say: it knows when."""
    evidence = known_empty()
    evidence.busy(80.0)
    receives(evidence, 10, start=60.0)
    looks(evidence, 61.0, 70.0)
    assert (evidence.since, evidence.awaits(79.0), evidence.awaits(80.5)) == (0.0, "hidden", "receives")


def test_a_receive_that_brings_something_starts_it_all_over() -> None:
    """Also one whose messages nobody can settle, which are never held."""
    evidence = known_empty()
    evidence.received(1, sent_at=40.0, now=40.5)
    assert (evidence.since, evidence.busy_until) == (0.0, 40.5)


def test_a_queue_that_cannot_be_reached_is_not_empty() -> None:
    """One receive that fails is enough to start over."""
    evidence = known_empty()
    evidence.failed()
    assert (evidence.since, evidence.awaits(40.0)) == (0.0, "endpoint")
    receives(evidence, 1, start=40.0)
    assert evidence.awaits(41.0) == "receives"


def test_a_look_that_fails_says_nothing() -> None:
    """It is made again; the two have to be in a row."""
    evidence = Evidence()
    receives(evidence, RECEIVES, start=10.0)
    looks(evidence, 14.0)
    evidence.unknown(denied=False, now=19.0)
    looks(evidence, 24.0)
    assert evidence.since == 0.0
    looks(evidence, 29.0)
    assert evidence.since == 10.0


def test_where_looks_are_denied_more_receives_have_to_tell() -> None:
    """And no further look is made."""
    evidence = Evidence()
    receives(evidence, RECEIVES, start=10.0)
    evidence.unknown(denied=True, now=13.0)
    assert (evidence.since, evidence.look_due()) == (0.0, float("inf"))
    receives(evidence, ALONE - RECEIVES - 1, start=13.0)
    assert evidence.since == 0.0
    receives(evidence, 1, start=30.0)
    assert evidence.since == 10.0
    receives(evidence, 1, start=31.0)
    assert evidence.since == 11.0, "the oldest of the last ten"


def test_short_polls_of_one_moment_count_as_one() -> None:
    """Thousands a second say no more than one."""
    evidence = Evidence()
    evidence.unknown(denied=True, now=0.0)
    receives(evidence, 400, start=10.0, apart=0.01)
    assert evidence.since == 0.0
    receives(evidence, 200, start=14.0, apart=0.01)
    assert evidence.since == pytest.approx(11.0, abs=SPACING)


def test_every_state_has_a_number_and_a_meaning() -> None:
    """A slot has the number, `worker status` the meaning."""
    assert set(AWAITED) == {"", *MEANING}
