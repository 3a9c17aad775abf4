"""Benchmark process: scaling: the same load with 1, 2, ... handler processes, up to twice the cores."""

from __future__ import annotations

import os

from benchmarks.rows import Case
from benchmarks.stage import Stage

ABOUT = "a full queue, 1 ms of Python a message, with more and more handler processes"


def cases(stage: Stage) -> list[Case]:
    """1, 2, 4, ... handlers."""
    cores = os.cpu_count() or 1
    counts = sorted({1, 2, cores, *(() if stage.quick else (2 * cores,))})
    return [Case(bench="scaling", work="spin", handlers=count) for count in counts]


def run(case: Case, stage: Stage) -> dict[str, float]:
    """One window."""
    return stage.load(case)
