"""Benchmark process: throughput against LocalStack or AWS: of LocalStack, only the CPU per message means something."""

from __future__ import annotations

from benchmarks.rows import Case
from benchmarks.stage import Stage

ABOUT = "a full queue of 1 KiB messages in LocalStack or AWS, a handler function that does nothing"


def cases(stage: Stage) -> list[Case]:
    """Every contender, at whatever distance the endpoint is; none for the embedded server, which `throughput` has."""
    if stage.endpoint.has_latency:
        return []
    return [Case(bench="elsewhere", contender=name) for name in stage.contenders]


def run(case: Case, stage: Stage) -> dict[str, float]:
    """One window."""
    return stage.load(case)
