"""Benchmark process: bodies of 1 MiB: bytes a second through one poller, and the memory that takes."""

from __future__ import annotations

import time

from benchmarks import tree
from benchmarks.contender import Running, running
from benchmarks.pool_status import pids, wait_until_running
from benchmarks.rows import Case
from benchmarks.stage import NoFigure, Stage

ABOUT = "a full queue of 1 MiB messages, a handler function that does nothing"
_SIZE = 1024 * 1024
_PATIENCE = 60.0


def cases(stage: Stage) -> list[Case]:
    """The defaults."""
    return [Case(bench="big_bodies", contender=name, size=_SIZE) for name in stage.contenders if name == "worker"]


def run(case: Case, stage: Stage) -> dict[str, float]:
    """From the first message that is done to the last; the poller's memory is looked at all the while."""
    count = 40 if stage.quick else 300
    contender = stage.contenders[case.contender]
    with stage.job(case) as job:
        stage.endpoint.fill(job.queue_url, contender.bodies(0, count, case.size, job.environ))
        with running(contender, job) as started:
            (poller,) = pids(wait_until_running(job.folder))["poller"]
            return _watch(job.queue_url, count, stage=stage, started=started, poller=poller)


def _watch(url: str, count: int, *, stage: Stage, started: Running, poller: int) -> dict[str, float]:
    end, first, peak = time.monotonic() + _PATIENCE, 0.0, 0.0
    cpu = begin = 0.0
    while left := stage.endpoint.depth(url):
        now = time.monotonic()
        if now > end:
            raise NoFigure(f"{left} of {count} messages left after {_PATIENCE:g} s: {started.gist()}")
        if left < count and not begin:
            begin, first, cpu = now, float(left), started.cpu()
        peak = max(peak, tree.memory(poller).resident)
        time.sleep(0.01)
    seconds = time.monotonic() - begin
    return {
        "mb_per_second": first * _SIZE / 1e6 / seconds,
        "cpu_us": (started.cpu() - cpu) / first * 1e6,
        "poller_peak_mb": peak,
    }
