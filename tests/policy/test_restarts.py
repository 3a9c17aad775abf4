"""Test process: when a child is started again, and when its queue gives up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.policy.restarts import FIRST, LIMIT, MOST, Restarts, died_early, hopeless, not_started

chances = st.floats(0, 1, exclude_max=True)


def failed(times: int, *, chance: float = 0.5) -> Restarts:
    """A child that died before READY so often, each started when the wait was over."""
    history, now = Restarts(), 0.0
    for _ in range(times):
        started = max(now, history.retry_at) + 1
        now = started + 1
        history = died_early(history, started_at=started, now=now, chance=chance)
    return history


def test_a_new_history_lets_a_child_start_at_once():
    assert Restarts().retry_at < 0
    assert not hopeless(Restarts(), others_ready=0)


def test_waits_double_from_the_first_to_the_most():
    waits = [history.retry_at - history.failed_at for history in map(failed, range(1, 15))]
    bounds = [min(MOST, FIRST * 2**n) for n in range(14)]
    assert [round(wait / bound, 6) for wait, bound in zip(waits, bounds, strict=True)] == [0.75] * 14


@given(times=st.integers(1, 200), chance=chances)
def test_a_wait_is_never_under_half_a_bound_nor_over_the_most(times: int, chance: float):
    history = failed(times, chance=chance)
    wait = history.retry_at - history.failed_at
    assert FIRST / 2 - 1e-6 <= wait <= MOST


def test_children_that_were_started_together_and_die_together_are_one_failure():
    history = Restarts()
    for now in (1.0, 1.1, 1.2, 5.0):
        history = died_early(history, started_at=0.5, now=now, chance=0.5)
    assert (history.failures, history.deaths, history.failed_at) == (1, 1, 1.0)


def test_a_queue_gives_up_after_the_limit_of_deaths_in_a_row():
    assert not hopeless(failed(LIMIT - 1), others_ready=0)
    assert hopeless(failed(LIMIT), others_ready=0)


def test_a_queue_does_not_give_up_while_one_of_the_kind_is_ready():
    assert not hopeless(failed(10 * LIMIT), others_ready=1)


def test_spawns_that_fail_wait_longer_and_longer_but_never_make_a_queue_give_up():
    history = Restarts()
    for _ in range(10 * LIMIT):
        history = not_started(history, now=0.0, chance=0.5)
    assert not hopeless(history, others_ready=0)
    assert history.retry_at == 0.75 * MOST


def test_spawns_that_fail_between_deaths_do_not_hide_the_deaths():
    history = not_started(failed(LIMIT - 1), now=500.0, chance=0.5)
    assert history.deaths == LIMIT - 1
    assert hopeless(died_early(history, started_at=600.0, now=601.0, chance=0.5), others_ready=0)
