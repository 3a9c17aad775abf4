"""Medians, spreads, percentiles, and whether two passes agree."""

from __future__ import annotations

import math

import pytest

from benchmarks.spread import agree, difference, median, percentile, spread


def test_the_median_is_that_of_all_passes() -> None:
    """Repetitions of all passes count alike."""
    assert median([[1, 9], [2, 3]]) == 2.5


def test_no_repetition_has_no_median() -> None:
    """A case that failed has no figure, and no figure is not 0."""
    assert math.isnan(median([]))
    assert math.isnan(median([[], []]))


def test_the_spread_is_a_share_of_the_median() -> None:
    """From the smallest to the largest."""
    assert spread([[8, 10, 12]]) == pytest.approx(0.4)
    assert spread([[0.0, 0.0]]) == 0.0


@pytest.mark.parametrize(
    ("passes", "apart", "same"),
    [
        ([[10, 10, 100], [11, 11]], 0.1, True),  # an outlier moves no median
        ([[10], [11.1]], 0.11, False),
        ([[0], [0]], 0.0, True),
        ([[0], [1]], math.inf, False),
    ],
)
def test_two_passes_agree_within_ten_percent(passes: list[list[float]], apart: float, same: bool) -> None:
    """By their medians, as a share of the smaller one."""
    assert difference(passes) == pytest.approx(apart)
    assert agree(passes) is same


def test_one_pass_agrees_with_nothing() -> None:
    """It takes two."""
    assert agree([[1, 2, 3]]) is None
    assert agree([[1], []]) is None


@pytest.mark.parametrize(("share", "value"), [(0.5, 2), (0.99, 4), (1.0, 4), (0.0, 1)])
def test_a_percentile_is_a_value_that_occurred(share: float, value: float) -> None:
    """Nearest rank: nothing is made up between two values."""
    assert percentile([4, 1, 3, 2], share) == value
    assert math.isnan(percentile([], share))
