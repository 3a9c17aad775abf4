"""Command line: the settings that `worker tune` varies: keys, their values, which of them go together."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from worker.policy.tuning import Candidate, Dimension
from worker.settings import MOST_RUNNING, POLL_GRACE, QueueSettings, Settings

#: Keys in the order in which they are tried, with their values, the cheapest first.
_CORES = os.cpu_count() or 1
VALUES: Mapping[str, tuple[int, ...]] = {
    "handlers": tuple(sorted({1, 2, 4, 8, 16, 32, 64, _CORES, 2 * _CORES})),
    "threads": (1, 4, 16, 64, 256),
    "concurrency": (1, 16, 64, 256, 1_000),
    "polls": (2, 4, 8, 16, 32, 64),
    "pollers": tuple(range(1, max(2, _CORES) + 1)),
    "ready_messages": (100, 300, 1_000, 3_000),
    # The longest is the cheapest: an idle poller makes fewer calls.
    "wait": (20, 10, 5),
}
#: Seconds that a drain needs beside the longest long poll (config/rules.py).
_DRAIN_SLACK = 7.0


@dataclass(frozen=True, slots=True)
class Space:
    """Where to search: dimensions, the user's own settings, and what is allowed."""

    dimensions: list[Dimension]
    start: Candidate
    allowed: Callable[[Candidate], bool]


def space(settings: Settings, queue: QueueSettings) -> Space:
    """The keys of this queue that can be varied."""
    # Coroutines are for `async def`, threads for plain functions; the config says which it is.
    left_out = {"threads" if queue.concurrency else "concurrency"}
    if queue.pause:
        left_out.add("wait")  # `poll_interval` says more than `wait` can
    dimensions = [Dimension(name, values) for name, values in VALUES.items() if name not in left_out]
    start = {one.key: int(getattr(queue, one.key)) for one in dimensions}
    return Space(dimensions, start, lambda candidate: fits(settings, queue, candidate))


def fits(settings: Settings, queue: QueueSettings, candidate: Candidate) -> bool:
    """Whether the rules between keys allow these settings; the config reader has the last word on the result."""
    tuned = replace(queue, **candidate)  # type: ignore[arg-type]  # whole numbers of the keys' own ranges
    fifo = (queue.queue_name or queue.url or queue.ssm).endswith(".fifo")
    return (
        tuned.pollers <= tuned.handlers
        and not (fifo and tuned.pollers > 1)
        and tuned.ready_messages >= tuned.max_messages
        and tuned.places <= MOST_RUNNING
        and tuned.wait + _DRAIN_SLACK <= settings.drain_timeout
        and tuned.visibility_timeout >= 1.5 * (tuned.wait + POLL_GRACE)
    )
