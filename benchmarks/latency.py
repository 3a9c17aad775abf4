"""Benchmark process: latency at half load: receive returned -> function starts, and send -> effect.

Messages come one by one, at random moments. The moment a receive returned is the one at which the server's answer went
out (its event log), the start and the end are the handler function's own; all by the host's clock. Half load is half
of what the same pool did with a full queue, measured right before, and no more than one producer can send.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import orjson

from benchmarks.contender import running
from benchmarks.effects import Step, read
from benchmarks.endpoints import Embedded, embedded, wait_for_depth
from benchmarks.pool_status import wait_until_running
from benchmarks.rows import Case
from benchmarks.spread import percentile
from benchmarks.stage import NoFigure, Stage
from benchmarks.work import payload, stamp

ABOUT = "messages one by one at random moments, half as many as the pool could do"
#: Messages a second that one producer sends one by one beside a pool on the same cores.
_MOST = 1_000.0


def cases(stage: Stage) -> list[Case]:
    """A no-op and a millisecond of Python."""
    if not stage.endpoint.has_latency:
        return []  # the moments come from the embedded server's event log
    return [Case(bench="latency", work=work) for work in ("noop", "spin")]


def run(case: Case, stage: Stage) -> dict[str, float]:
    """A window for the capacity, then arrivals at half of it, against a server that writes its events down."""
    rate = min(_MOST, stage.load(case)["rate"] / 2)
    with stage.job(case) as scratch:
        steps, sent = _measure(case, stage, rate=rate, log=scratch.folder / "events")
        returned = dict(receives(_events(scratch.folder / "events")))
    starts = [(step.ns - returned[step.name]) / 1e6 for step in steps if step.step == "start"]
    ends = [(step.ns - sent[step.number]) / 1e6 for step in steps if step.step == "end"]
    return {
        "arrivals": rate,
        "start_p50_ms": percentile(starts, 0.50),
        "start_p99_ms": percentile(starts, 0.99),
        "effect_p50_ms": percentile(ends, 0.50),
        "effect_p99_ms": percentile(ends, 0.99),
    }


def _measure(case: Case, stage: Stage, *, rate: float, log: Path) -> tuple[list[Step], dict[int, int]]:
    """What handler functions wrote down, and when each message was sent; the log is whole when the server is gone."""
    with embedded(str(log)) as endpoint:
        quiet = Stage(endpoint=endpoint, quick=stage.quick, spin=stage.spin, contenders=stage.contenders)
        with quiet.job(case, effects=True) as job, running(stage.contenders[case.contender], job) as started:
            wait_until_running(job.folder)
            sent = _arrivals(endpoint, job.queue_url, rate=rate, seconds=1.5 if stage.quick else 8.0)
            if not wait_for_depth(endpoint, job.queue_url, most=0, patience=30.0):
                raise NoFigure(f"the queue is not empty: {started.gist()}")
            steps = read(Path(job.environ["BENCH_EFFECTS"]).read_text().splitlines())
        return steps, sent


def _arrivals(endpoint: Embedded, url: str, *, rate: float, seconds: float) -> dict[int, int]:
    """Send at random moments; when each message was sent, by its number, in nanoseconds."""
    chance = random.Random(1)
    sent: dict[int, int] = {}
    begin = due = time.monotonic()
    while due < begin + seconds:
        due += chance.expovariate(rate)
        time.sleep(max(0.0, due - time.monotonic()))
        number = len(sent)
        sent[number] = stamp()
        endpoint.fill(url, [payload(number, 1024)])
    return sent


def receives(events: Iterable[Mapping[str, object]]) -> Iterator[tuple[str, int]]:
    """Message ids, and when the answer that first brought each went out, in nanoseconds."""
    waiting: dict[tuple[object, object], list[str]] = {}
    known: set[str] = set()
    for event in events:
        asked = event.get("connection"), event.get("request")
        if event["event"] == "assign":
            waiting.setdefault(asked, []).append(str(event["message_id"]))
        elif event["event"] == "response" and asked in waiting:
            for name in waiting.pop(asked):
                if name not in known:
                    known.add(name)
                    yield name, int(str(event["ns"]))


def _events(path: Path) -> Iterator[Mapping[str, object]]:
    with path.open("rb") as file:
        for line in file:
            yield orjson.loads(line)
