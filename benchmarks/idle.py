"""Benchmark process: an idle pool: calls a minute, wakeups a second and CPU of the whole tree."""

from __future__ import annotations

import time

from benchmarks import tree
from benchmarks.contender import running
from benchmarks.endpoints import wait_for_depth
from benchmarks.pool_status import wait_until_running
from benchmarks.rows import Case
from benchmarks.stage import Stage

ABOUT = "an empty queue, the default wait of 10 s and the longest one"
#: Seconds after the last message until the pool counts as idle: its extra long polls have ended.
_REST = 12.0


def cases(stage: Stage) -> list[Case]:
    """The default, and `wait = 20`."""
    if not stage.endpoint.has_latency:
        return []  # nobody counts the calls
    found = [Case(bench="idle")]
    if not stage.quick:
        found.append(Case(bench="idle", variant="wait = 20", settings={"wait": 20, "visibility_timeout": 60}))
    return found


def run(case: Case, stage: Stage) -> dict[str, float]:
    """Handle a little, rest, and look for three long polls."""
    contender, wait = stage.contenders[case.contender], float(case.settings.get("wait", 10))
    seconds = wait if stage.quick else 3 * wait
    with stage.job(case) as job:
        stage.endpoint.fill(job.queue_url, contender.bodies(0, 100, case.size, job.environ))
        with running(contender, job) as started:
            wait_until_running(job.folder)
            wait_for_depth(stage.endpoint, job.queue_url, most=0, patience=30.0)
            time.sleep(2.0 if stage.quick else _REST)  # not a wait for a fact: it shall come to rest
            stage.endpoint.latency(0.0)
            before, cpu = tree.wakeups(started.roots), started.cpu()
            time.sleep(seconds)
            after, cpu = tree.wakeups(started.roots), started.cpu() - cpu
            calls = sum(stage.endpoint.calls().values())
    slept = sum(count - before.get(thread, 0) for thread, count in after.items())
    return {
        "calls_a_minute": calls / seconds * 60,
        "wakeups": slept / seconds,
        "idle_cpu": cpu / seconds * 100,
    }
