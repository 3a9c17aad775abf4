"""Test process: which poller counts as stuck."""

from __future__ import annotations

from typing import Any

import pytest

from worker.policy.watch import stuck

NOW = 10_000.0
HEALTHY = {
    "progress": NOW,
    "received_at": NOW,
    "quiet_until": 0.0,
    "fair_from": 0.0,
    "now": NOW,
    "visibility_timeout": 60.0,
    "wait": 10.0,
}


def judge(**facts: Any) -> str:
    return stuck(**{**HEALTHY, **facts})


def test_a_healthy_poller_is_left_alone():
    assert judge() == ""


@pytest.mark.parametrize(("age", "text"), [(19.9, ""), (20.1, "no progress for 20.1 s, the limit is 20.0 s")])
def test_a_third_of_the_visibility_timeout_without_progress_is_stuck(age: float, text: str):
    assert judge(progress=NOW - age) == text


@pytest.mark.parametrize(("age", "text"), [(44.9, ""), (45.1, "no completed receive for 45.1 s, the limit is 45.0 s")])
def test_three_waits_without_a_completed_receive_are_stuck(age: float, text: str):
    assert judge(received_at=NOW - age) == text


def test_no_receive_is_missed_while_none_is_due():
    assert judge(received_at=NOW - 1000, quiet_until=NOW + 5) == ""
    assert judge(received_at=NOW - 1000, quiet_until=NOW - 44) == ""
    assert judge(received_at=NOW - 1000, quiet_until=NOW - 46) != ""
    assert judge(received_at=0.0, quiet_until=float("inf")) == ""


def test_what_lies_before_the_fair_moment_is_not_held_against_a_poller():
    assert judge(progress=NOW - 1000, received_at=NOW - 1000, fair_from=NOW - 19) == ""
    assert judge(progress=NOW - 1000, received_at=NOW - 1000, fair_from=NOW - 21) != ""


def test_a_poller_that_never_completed_a_receive_is_measured_from_its_ready():
    assert judge(received_at=0.0, fair_from=NOW - 44) == ""
    assert judge(received_at=0.0, fair_from=NOW - 46) != ""
