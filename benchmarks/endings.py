"""Benchmark process: how long a pool takes to start, and to drain."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from benchmarks.contender import Job, Running, running
from benchmarks.endpoints import wait_for_depth
from benchmarks.pool_status import wait_until_running
from benchmarks.rows import Case
from benchmarks.stage import NoFigure, Stage

ABOUT = "from `worker run` to the first effect; from SIGTERM to the exit, at load and idle"
_PATIENCE = 40.0


def cases(stage: Stage) -> list[Case]:
    """At load; and idle, where a drain waits for the long poll on its way."""
    found = [Case(bench="endings", work="spin", variant="at load")]
    if not stage.quick:
        found.append(Case(bench="endings", work="spin", variant="idle"))
    return found


def run(case: Case, stage: Stage) -> dict[str, float]:
    """Start, work for a second, stop."""
    idle = case.variant == "idle"
    contender = stage.contenders[case.contender]
    with stage.job(case, effects=True) as job:
        count = 50 if idle else 5_000
        stage.endpoint.fill(job.queue_url, contender.bodies(0, count, case.size, job.environ))
        begin = time.monotonic()
        with running(contender, job) as started:
            first = _first_effect(job, begin, started=started)
            wait_until_running(job.folder)
            ready = time.monotonic() - begin
            if idle:
                wait_for_depth(stage.endpoint, job.queue_url, most=0, patience=_PATIENCE)
            time.sleep(1.0)  # not a wait for a fact: so long shall it work, or rest
            before = time.monotonic()
            started.signal(signal.SIGTERM)
            code = started.wait(_PATIENCE)
            drained = time.monotonic() - before
        if code:
            raise NoFigure(f"the drain ended with exit code {code}")
        effects = Path(job.environ["BENCH_EFFECTS"]).read_text().count("end ")
        left = stage.endpoint.depth(job.queue_url)
    return {
        "first_effect_s": first,
        "ready_s": ready,
        "drain_s": drained,
        # 0: what was done is deleted, what is left was not done.
        "done_and_left": float(effects + left - count),
    }


def _first_effect(job: Job, begin: float, *, started: Running) -> float:
    path = Path(job.environ["BENCH_EFFECTS"])
    while not (path.exists() and path.stat().st_size):
        if time.monotonic() > begin + _PATIENCE:
            raise NoFigure(f"no effect within {_PATIENCE:g} s: {started.gist()}")
        time.sleep(0.001)
    return time.monotonic() - begin
