"""Benchmark process: a handler function of 1 ms of Python, and what share of the cores' ceiling for it is reached.

The ceiling is the same work in as many processes without any queue, measured right before and after. `share` compares
messages a second, so it falls with everything else that wants the cores, the SQS server included; `cpu_share` compares
CPU per message and does not.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

from benchmarks.machine import ROOT
from benchmarks.rows import Case
from benchmarks.stage import Stage
from benchmarks.work import spin

ABOUT = "a full queue, 1 ms of Python a message, against the same work without a queue"
_MILLISECOND = 0.001


def calibrate() -> int:
    """Iterations that take a millisecond of CPU here: the best of several tries, since neighbours only slow it down."""
    iterations, best = 20_000, float("inf")
    for _ in range(20):
        before = time.process_time()
        spin(iterations)
        best = min(best, time.process_time() - before)
    return max(1, int(iterations * _MILLISECOND / best))


def cases(stage: Stage) -> list[Case]:
    """Every contender, near and far."""
    return [
        Case(bench="cpu_bound", contender=name, work="spin", latency=latency)
        for latency in ((0.0, 0.010) if stage.endpoint.has_latency else (0.0,))
        for name in stage.contenders
    ]


def run(case: Case, stage: Stage) -> dict[str, float]:
    """The ceiling, a window, and the ceiling once more, since neighbours come and go."""
    before = ceiling(case.handlers, stage)
    figures = stage.load(case)
    after = ceiling(case.handlers, stage)
    rate, cpu = (before[0] + after[0]) / 2, (before[1] + after[1]) / 2
    return figures | {
        "ceiling": rate,
        "share": figures["rate"] / rate,
        "cpu_share": cpu * 1e6 / figures["cpu_us"],
    }


def ceiling(processes: int, stage: Stage) -> tuple[float, float]:
    """Messages a second of the bare work in so many processes, and CPU seconds of each."""
    environ = {**os.environ, "BENCH_WORK": "spin", "BENCH_SPIN": str(stage.spin)}
    command = [sys.executable, "-m", "benchmarks.work", str(stage.window / 2)]
    started = [
        subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    told = [json.loads(one.communicate()[0]) for one in started]
    return sum(rate for rate, _, _ in told), sum(cpu for _, cpu, _ in told) / sum(count for _, _, count in told)
