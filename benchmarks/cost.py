"""Benchmark process: cost: calls per message at load, dollars per million messages, by the size of bodies."""

from __future__ import annotations

from benchmarks.rows import Case
from benchmarks.stage import Stage

ABOUT = "a full queue, a handler function that does nothing; calls counted by the endpoint"
_NAMES = ("calls", "dollars", "cpu_us", "rate")


def cases(stage: Stage) -> list[Case]:
    """Small messages, and large ones, of which fewer fit into a request and each costs more than one."""
    if not stage.endpoint.has_latency:
        return []  # nobody counts the calls
    return [Case(bench="cost", size=size) for size in (256, *((64 * 1024,) if not stage.quick else ()))]


def run(case: Case, stage: Stage) -> dict[str, float]:
    """One window; a million messages cost so many dollars in us-east-1, beyond the free ones and without sending."""
    figures = stage.load(case)
    return {name: figures[name] for name in _NAMES}
