"""Benchmark process: a handler function that waits 50 ms, as one that calls others does."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.rows import Case
from benchmarks.stage import Stage

ABOUT = "a full queue, 50 ms of waiting a message"
#: In one handler process each.
_THREADS, _COROUTINES = 50, 1000
_MANY: dict[str, object] = {
    "concurrency": _COROUTINES,
    "handler": "benchmarks.application:work_async",
    "ready_messages": 3 * _COROUTINES,
    "polls": 64,
}


def cases(stage: Stage) -> list[Case]:
    """Processes; and threads and coroutines in one process."""
    del stage
    return [
        Case(bench="io_bound", work="pause", handlers=8, variant="8 processes"),
        _in_one_process("50 threads", {"threads": _THREADS}),
        *(_in_one_process("1,000 coroutines", _MANY, latency=latency) for latency in (0.0, 0.010)),
    ]


def _in_one_process(variant: str, settings: Mapping[str, object], *, latency: float = 0.0) -> Case:
    return Case(bench="io_bound", work="pause", handlers=1, latency=latency, variant=variant, settings=settings)


def run(case: Case, stage: Stage) -> dict[str, float]:
    """One window; `share` is that of what the waiting alone allows."""
    figures = stage.load(case)
    return figures | {"in_flight": float(case.places), "share": figures["rate"] / (case.places / stage.pause)}
