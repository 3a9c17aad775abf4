"""Benchmark process: throughput: a full queue, a handler function that does nothing; CPU per message first."""

from __future__ import annotations

from benchmarks.rows import Case
from benchmarks.stage import Stage

ABOUT = "a full queue of 1 KiB messages, a handler function that does nothing, everything on"


def cases(stage: Stage) -> list[Case]:
    """Every contender of the stage, beside the endpoint and 10 ms away."""
    latencies = (0.0, 0.010) if stage.endpoint.has_latency else (0.0,)
    return [
        Case(bench="throughput", contender=name, latency=latency) for latency in latencies for name in stage.contenders
    ]


def run(case: Case, stage: Stage) -> dict[str, float]:
    """One window."""
    return stage.load(case)
