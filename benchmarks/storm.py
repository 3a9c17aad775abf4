"""Benchmark process: a kill storm: SIGKILL of a process every second, and a count of what was lost, doubled, or hangs.

The same storm for everybody: whatever process of the contender runs is killed, roots excepted where they only
supervise; a root that ends is started again, as a service manager would. Messages are judged by what the handler
functions wrote down. `python -m chaos` is the harder storm for our own pool, with its network and its broker at fault.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from benchmarks import tree
from benchmarks.contender import Contender, Job, Running, running
from benchmarks.effects import judge, read
from benchmarks.rows import Case
from benchmarks.stage import Stage

ABOUT = "5 ms a message, a backlog, SIGKILL of one process a second; then the queue is given time to become empty"
#: Seconds without any progress after which what is left hangs: three times the visibility timeout.
_VISIBILITY, _STUCK = 10, 30.0
_LONGEST = 5  #: times that, after which a contender that still works is left to itself
_MOST = 12_000  #: messages; more only make the calm longer
_RESTART = 0.5  #: seconds until a root that ended is started again
_PERIOD = 1.0  #: seconds between two kills


def cases(stage: Stage) -> list[Case]:
    """Every contender."""
    return [Case(bench="storm", contender=name, work="pause") for name in stage.contenders]


def run(case: Case, stage: Stage) -> dict[str, float]:
    """Storm, calm, verdict."""
    seconds = 3.0 if stage.quick else 30.0
    contender = stage.contenders[case.contender]
    # As many as are done in the storm, or the calm would be the greater part; pauses of 5 ms give 400 a second.
    count = min(_MOST, int(min(contender.rate, case.handlers * contender.at_once / 0.005) * seconds * 0.6))
    with stage.job(case, effects=True, visibility=_VISIBILITY) as job:
        quick = Job(
            folder=job.folder,
            queue_url=job.queue_url,
            environ={**job.environ, "BENCH_PAUSE": "0.005"},
            work=job.work,
            handlers=job.handlers,
            handler=job.handler,
            # A killed pool's leases end when the queue says, as everybody's do; `wait` as short as that needs.
            settings={"visibility_timeout": _VISIBILITY, "wait": 1} if case.contender == "worker" else {},
        )
        stage.endpoint.fill(job.queue_url, contender.bodies(0, count, case.size, job.environ))
        with running(contender, quick) as started:
            kills = _strike(started, contender, seconds=seconds)
            left, calm, still = _calm(stage, job.queue_url, started=started)
        path = Path(job.environ["BENCH_EFFECTS"])
        verdict = judge(range(count), read(path.read_text().splitlines() if path.exists() else ()), left=left)
    return {
        "sent": verdict.sent,
        "kills": kills,
        "lost": verdict.lost,
        "duplicated": verdict.duplicated,
        "hung": verdict.hung if still else 0,
        "unfinished": 0 if still else verdict.hung,
        "calm_s": calm,
    }


def _strike(started: Running, contender: Contender, *, seconds: float) -> int:
    chance, kills = random.Random(1), 0
    begin = time.monotonic()
    next_at = begin + 2 * _PERIOD  # once it works
    while (now := time.monotonic()) < begin + seconds + _PERIOD:
        started.tend(now, _RESTART)
        if now >= next_at:
            next_at += _PERIOD
            kills += _kill(victims(tree.tree(started.roots), started.roots, supervised=contender.supervised), chance)
        time.sleep(0.02)
    return kills


def victims(processes: Sequence[psutil.Process], roots: Sequence[int], *, supervised: bool) -> list[psutil.Process]:
    """Whom the storm may kill: the workers; the roots themselves where there is nobody above them."""
    return sorted((one for one in processes if not supervised or one.pid not in roots), key=lambda process: process.pid)


def _kill(found: Sequence[psutil.Process], chance: random.Random) -> int:
    if not found:
        return 0
    try:
        chance.choice(found).kill()
    except psutil.NoSuchProcess:
        return 0
    return 1


def _calm(stage: Stage, url: str, *, started: Running) -> tuple[int, float, bool]:
    """Wait until the queue is empty, or nothing moves any more.

    What is left, the seconds that took, and whether all had come to a standstill: who is only slow does not hang.
    """
    begin = moved = time.monotonic()
    before = -1
    while (left := stage.endpoint.depth(url)) and time.monotonic() < moved + _STUCK:
        if left != before:
            before, moved = left, time.monotonic()
        if time.monotonic() > begin + _LONGEST * _STUCK:
            return left, time.monotonic() - begin, False
        started.tend(time.monotonic(), _RESTART)
        time.sleep(0.05)
    return left, time.monotonic() - begin, True
