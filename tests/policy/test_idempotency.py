"""Test process: what a record means to whoever wants its key, and how long things last."""

from __future__ import annotations

import pytest

from worker.policy.idempotency import (
    DONE,
    IN_PROGRESS,
    Busy,
    Done,
    Record,
    Taken,
    free,
    marked,
    seconds_to_run,
    seconds_to_wait,
    standing,
)

RUNS = Record(state=IN_PROGRESS, owner="a", until=100.0, expires=100.0)
IS_DONE = Record(state=DONE, owner="a", result="1", expires=200.0)


@pytest.mark.parametrize(
    ("record", "now", "is_free"),
    [(None, 0.0, True), (RUNS, 99.9, False), (RUNS, 100.0, True), (IS_DONE, 199.9, False), (IS_DONE, 200.0, True)],
)
def test_a_key_is_free_when_its_record_has_ended(record: Record | None, now: float, is_free: bool) -> None:
    """In progress until its lease is over, done until it expires: to the moment, however late the store deletes it."""
    assert free(record, now=now) is is_free


def test_what_is_found_has_three_meanings() -> None:
    """Somebody else's run is busy, one's own is a lost answer, and what is done is done for its owner as well."""
    assert standing(RUNS, owner="b") == Busy("a", 100.0)
    assert standing(RUNS, owner="a") == Taken()
    assert standing(IS_DONE, owner="a") == standing(IS_DONE, owner="b") == Done("1")


def test_a_refused_mark_counts_if_it_was_made_before() -> None:
    """By the same owner, and by nobody else."""
    assert marked(IS_DONE, owner="a")
    assert not marked(IS_DONE, owner="b")
    assert not marked(RUNS, owner="a")
    assert not marked(None, owner="a")


def test_a_function_has_the_time_of_its_message_or_its_lease() -> None:
    """The shorter one; 300 s where there is neither."""
    assert seconds_to_run(40.0, None) == 40.0
    assert seconds_to_run(40.0, 30.0) == 30.0
    assert seconds_to_run(40.0, 50.0) == 40.0
    assert seconds_to_run(float("inf"), None) == 300.0
    assert seconds_to_run(float("inf"), 5.0) == 5.0


def test_a_busy_key_is_waited_for_in_one_go() -> None:
    """All that is left and a second more, so that it costs one receive; within what SQS allows."""
    assert seconds_to_wait(110.0, now=100.0, hidden=40_000.0) == 11.0
    assert seconds_to_wait(90.0, now=100.0, hidden=40_000.0) == 1.0
    assert seconds_to_wait(110.0, now=100.0, hidden=4.0) == 4.0
    assert seconds_to_wait(110.0, now=100.0, hidden=-4.0) == 1.0
    assert seconds_to_wait(1e9, now=100.0, hidden=float("inf")) == 43_200.0
