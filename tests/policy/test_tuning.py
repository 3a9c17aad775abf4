"""`worker tune`: which settings are tried next, which are best, what holds a pool back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.policy.tuning import Dimension, Search, Trial, backlog, limit

HANDLERS = Dimension("handlers", (1, 2, 4, 8, 16))
POLLERS = Dimension("pollers", (1, 2))


def play(search: Search, rate: Callable[[Mapping[str, int]], float]) -> list[Mapping[str, int]]:
    """Answer the search until it is done; what it tried."""
    tried = []
    while (candidate := search.next()) is not None:
        tried.append(candidate)
        search.tell(rate(candidate))
        assert len(tried) < 500
    return tried


def free(_: Mapping[str, int]) -> bool:
    return True


def test_it_goes_up_as_long_as_that_helps() -> None:
    """More handlers help up to 8; 16 bring nothing and are not taken."""
    search = Search([HANDLERS], {"handlers": 2}, allowed=free)
    tried = play(search, lambda one: min(one["handlers"], 8))
    assert [one["handlers"] for one in tried] == [2, 4, 8, 16]
    assert search.best == {"handlers": 8}


def test_it_goes_down_where_that_costs_nothing() -> None:
    """A pool whose handlers are idle gets fewer of them."""
    search = Search([HANDLERS], {"handlers": 8}, allowed=free)
    assert [one["handlers"] for one in play(search, lambda _: 100)] == [8, 16, 4, 2, 1]
    assert search.best == {"handlers": 1}


def test_a_gain_within_the_noise_is_none() -> None:
    """3 % more for twice the processes is not worth them, and 3 % less is too much to save any."""
    search = Search([HANDLERS], {"handlers": 4}, allowed=free)
    play(search, lambda one: 100 + 3 * math.log2(one["handlers"] / 4))
    assert search.best == {"handlers": 4}


def test_keys_that_need_each_other_are_found_in_rounds() -> None:
    """A second poller helps only once there are handlers enough for it, and then more of them help."""
    search = Search([POLLERS, HANDLERS], {"pollers": 1, "handlers": 1}, allowed=free)
    play(search, lambda one: min(one["handlers"], 4 * one["pollers"] + 1))
    assert search.best == {"pollers": 2, "handlers": 16}


def test_what_is_no_config_is_never_tried() -> None:
    """The rules between keys hold for every candidate."""
    search = Search(
        [POLLERS, HANDLERS], {"pollers": 1, "handlers": 1}, allowed=lambda one: one["pollers"] <= one["handlers"]
    )
    tried = play(search, lambda one: one["handlers"] * one["pollers"])
    assert all(one["pollers"] <= one["handlers"] for one in tried)
    assert search.best == {"pollers": 2, "handlers": 16}


def test_the_users_own_value_is_one_of_them() -> None:
    """A config with 3 handlers is where the search starts, and the steps go from there; the order of a key stays."""
    search = Search([HANDLERS], {"handlers": 3}, allowed=free)
    assert [one["handlers"] for one in play(search, lambda one: 1 if one["handlers"] == 3 else 0)] == [3, 4, 2]
    search = Search([Dimension("wait", (20, 10, 5))], {"wait": 8}, allowed=free)
    assert [one["wait"] for one in play(search, lambda _: 1)] == [8, 5, 10, 20]


@given(
    rates=st.dictionaries(
        st.tuples(st.sampled_from(HANDLERS.values), st.sampled_from(POLLERS.values)), st.floats(0, 1e6), max_size=10
    ),
    start=st.sampled_from(HANDLERS.values),
)
def test_it_always_ends_and_never_repeats(rates: dict[tuple[int, int], float], start: int) -> None:
    """Whatever the trials say, however noisy."""
    search = Search([HANDLERS, POLLERS], {"handlers": start, "pollers": 1}, allowed=free)
    tried = play(search, lambda one: rates.get((one["handlers"], one["pollers"]), 1.0))
    keys = [tuple(one.values()) for one in tried]
    assert len(keys) == len(set(keys)) <= 10
    assert search.best in tried


def trial(**changes: Any) -> Trial:
    given: dict[str, Any] = {"settings": {}, "rate": 1.0, "calls": 0.2, "size": 1.0, "handlers_busy": 0.5}
    return Trial(**(given | changes))


@pytest.mark.parametrize(
    ("changes", "begins"),
    [
        ({"poller_busy": 0.95, "cores_busy": 0.99, "handlers_busy": 1.0}, "poller CPU"),
        ({"poller_busy": 0.3, "cores_busy": 0.99, "handlers_busy": 1.0}, "CPU"),
        ({"poller_busy": 0.3, "cores_busy": 0.4, "handlers_busy": 0.97}, "handlers"),
        ({"poller_busy": 0.3, "cores_busy": 0.4, "handlers_busy": 0.2}, "round trips"),
        ({"handlers_busy": 0.97}, "handlers"),  # without psutil
    ],
)
def test_the_limit_is_what_has_no_time_left(changes: dict[str, float], begins: str) -> None:
    """A poller at its core first, then the cores, then the handlers; else it is the way to SQS."""
    assert limit(trial(**changes), cores=2).startswith(begins)


def test_the_pollers_own_word_stands_beside_it() -> None:
    """Where status names a limit, the operator sees the same word here."""
    assert limit(trial(handlers_busy=0.97, named="handlers"), cores=2).endswith("(the pollers say: handlers)")
    assert "say" not in limit(trial(handlers_busy=0.97), cores=2)


def test_a_queue_holds_enough_for_a_window() -> None:
    """Twice what the last rate needs, within bounds."""
    assert backlog(1_000, seconds=4, least=500, most=60_000) == 8_000
    assert backlog(0, seconds=4, least=500, most=60_000) == 500
    assert backlog(50_000, seconds=4, least=500, most=60_000) == 60_000
