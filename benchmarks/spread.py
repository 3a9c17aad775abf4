"""Pure rules: medians, spreads, percentiles, and whether two passes found the same."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

#: Two passes agree if their medians differ by no more than this share.
AGREEMENT = 0.10


def median(passes: Sequence[Sequence[float]]) -> float:
    """The median of all repetitions of all passes; not a number if there are none."""
    values = [value for one in passes for value in one]
    return statistics.median(values) if values else math.nan


def spread(passes: Sequence[Sequence[float]]) -> float:
    """(largest - smallest) / median of all repetitions."""
    values = [value for one in passes for value in one]
    middle = median(passes)
    return (max(values) - min(values)) / abs(middle) if values and middle else 0.0


def difference(passes: Sequence[Sequence[float]]) -> float | None:
    """How far the medians of the passes lie apart, as a share of the smallest; None with fewer than two passes."""
    medians = [statistics.median(one) for one in passes if one]
    if len(medians) < 2:
        return None
    low, high = min(medians), max(medians)
    return (high - low) / abs(low) if low else (0.0 if high == low else math.inf)


def agree(passes: Sequence[Sequence[float]]) -> bool | None:
    """Whether the passes found the same figure twice; None with fewer than two passes."""
    apart = difference(passes)
    return None if apart is None else apart <= AGREEMENT


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed (nearest rank); not a number if there are none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
