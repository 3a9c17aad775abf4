"""Benchmark process: throughput: a full queue, a handler function that does nothing; CPU per message first."""

from __future__ import annotations

from benchmarks.rows import Case
from benchmarks.stage import Stage

ABOUT = "a full queue of 1 KiB messages, a handler function that does nothing, everything on"


def cases(stage: Stage) -> list[Case]:
    """Every contender, beside the endpoint and 10 ms away; and our pool with boto3 as its client."""
    if not stage.endpoint.has_latency:
        return []  # `elsewhere` has those
    latencies = (0.0, 0.010)
    found = [
        Case(bench="throughput", contender=name, latency=latency) for latency in latencies for name in stage.contenders
    ]
    if not stage.quick:
        settings = {"client": "boto3"}
        found += [Case(bench="throughput", latency=far, variant="boto3", settings=settings) for far in latencies]
    return found


def run(case: Case, stage: Stage) -> dict[str, float]:
    """One window."""
    return stage.load(case)
