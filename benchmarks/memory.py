"""Benchmark process: memory: what each process of the pool holds for itself (USS), after some thousands of messages."""

from __future__ import annotations

import statistics
import time

from benchmarks import tree
from benchmarks.contender import running
from benchmarks.endpoints import wait_for_depth
from benchmarks.pool_status import pids, wait_until_running
from benchmarks.rows import Case
from benchmarks.stage import NoFigure, Stage

ABOUT = "after 5,000 messages of 1 KiB; the application imports nothing but the standard library and `worker`"
_MESSAGES = 5_000


def cases(stage: Stage) -> list[Case]:
    """The defaults; and with preloading."""
    del stage
    return [
        Case(bench="memory", handlers=4),
        Case(bench="memory", handlers=4, variant="preload", settings={"preload": True}),
    ]


def run(case: Case, stage: Stage) -> dict[str, float]:
    """Work, rest a moment, look."""
    contender = stage.contenders[case.contender]
    count = 1_000 if stage.quick else _MESSAGES
    with stage.job(case) as job:
        stage.endpoint.fill(job.queue_url, contender.bodies(0, count, case.size, job.environ))
        with running(contender, job) as started:
            if not wait_for_depth(stage.endpoint, job.queue_url, most=0, patience=60.0):
                raise NoFigure(f"the queue is not empty after 60 s: {started.gist()}")
            time.sleep(1.0)  # not a wait for a fact: what was let go shall be gone
            roles = pids(wait_until_running(job.folder))
            figures = {
                f"{role}_uss_mb": statistics.median(tree.memory(pid).own for pid in found)
                for role, found in roles.items()
            }
            whole = tree.memory_of_all(started.roots)
            return figures | {"rss_mb": whole.resident, "uss_mb": whole.own}
