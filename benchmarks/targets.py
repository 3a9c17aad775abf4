"""Pure rules: what the project wants to reach, and whether the rows of a run reach it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.report import ratios
from benchmarks.rows import Row
from benchmarks.spread import median

#: How much less CPU a message shall cost us than each rival.
RATIOS = {
    "naive-batch": 4.5,
    "sqs-workers": 6.5,
    "sqs-consumer-batch": 10.0,
    "naive-single": 20.0,
    "taskiq-aio-sqs": 24.0,
    "dramatiq_sqs": 33.0,
    "celery-tuned": 45.0,
    "pyqs": 55.0,
}

#: A share of the ceiling above this says that something else had the cores while the ceiling was measured.
_POSSIBLE = 1.05


@dataclass(frozen=True, slots=True)
class Finding:
    """A target beside what was found; `reached` is None where nothing was measured."""

    figure: str
    target: str
    found: str
    reached: bool | None


def findings(rows: Sequence[Row]) -> list[Finding]:
    """All targets. `rows` are those of one machine."""
    return [
        _most("CPU µs per message, no-op, 1 KiB, 0 ms", rows, "throughput", figure="cpu_us", limit=30.0),
        _most("the same at 10 ms a call", rows, "throughput", figure="cpu_us", limit=30.0, latency=0.010),
        *_against_rivals(rows),
        _least("one queue at 10 ms a call, messages/s", rows, "throughput", figure="rate", limit=15_000, latency=0.010),
        _least("1 ms of Python, share of the ceiling, 0 ms", rows, "cpu_bound", figure="share", limit=0.90),
        _least(
            "1 ms of Python, share of the ceiling, 10 ms a call",
            rows,
            "cpu_bound",
            figure="share",
            limit=0.88,
            latency=0.010,
        ),
        _scaling(rows),
        _least("50 ms waits, one process, messages/s", rows, "io_bound", figure="rate", limit=10_000, variant="1,000"),
        _most("CPU µs per message sent by a Producer, 0 ms", rows, "producer", figure="cpu_us", limit=40.0),
        _least(
            "one Producer at 10 ms a call, messages/s", rows, "producer", figure="rate", limit=10_000, latency=0.010
        ),
        _most("receive returned to start, p50 ms", rows, "latency", figure="start_p50_ms", limit=1.0),
        _most("receive returned to start, p99 ms", rows, "latency", figure="start_p99_ms", limit=5.0),
        _most("calls per message at load", rows, "throughput", figure="calls", limit=0.21),
        _most("calls a minute, idle", rows, "idle", figure="calls_a_minute", limit=6.0),
        _most("wakeups a second, idle, whole tree", rows, "idle", figure="wakeups", limit=2.0),
        _most("USS of the supervisor, MB", rows, "memory", figure="supervisor_uss_mb", limit=15.0),
        _most("USS of a poller, MB", rows, "memory", figure="poller_uss_mb", limit=35.0),
        _most("USS of a handler, MB", rows, "memory", figure="handler_uss_mb", limit=15.0),
        _most("USS of a preloaded handler, MB", rows, "memory", figure="handler_uss_mb", limit=6.0, variant="preload"),
        _least("1 MiB bodies, MB/s through one poller", rows, "big_bodies", figure="mb_per_second", limit=200.0),
    ]


def _values(rows: Sequence[Row], bench: str, *, figure: str, latency: float, variant: str) -> list[float]:
    return [
        median(row.figures[figure])
        for row in rows
        if row.case.bench == bench
        and row.case.contender == "worker"
        and row.case.latency == latency
        and row.case.variant.startswith(variant)
        and (variant or not row.case.variant or bench == "idle")
        and figure in row.figures
    ]


def _most(
    title: str, rows: Sequence[Row], bench: str, *, figure: str, limit: float, latency: float = 0.0, variant: str = ""
) -> Finding:
    values = _values(rows, bench, figure=figure, latency=latency, variant=variant)
    return _finding(title, f"{limit:g} or less", max(values, default=math.nan), reached=lambda value: value <= limit)


def _least(
    title: str, rows: Sequence[Row], bench: str, *, figure: str, limit: float, latency: float = 0.0, variant: str = ""
) -> Finding:
    values = _values(rows, bench, figure=figure, latency=latency, variant=variant)
    return _finding(title, f"{limit:,g} or more", min(values, default=math.nan), reached=lambda value: value >= limit)


def _finding(title: str, target: str, value: float, *, reached: Callable[[float], bool]) -> Finding:
    if math.isnan(value):
        return Finding(title, target, "not measured", None)
    if "share of the ceiling" in title and value > _POSSIBLE:
        return Finding(title, target, f"{value:.2f}: the ceiling was disturbed", None)
    return Finding(title, target, f"{value:,.0f}" if value >= 100 else f"{value:.3g}", reached(value))


def _against_rivals(rows: Sequence[Row]) -> list[Finding]:
    found = ratios(rows)
    return [
        _finding(
            f"CPU per message against {name}, times less",
            f"{wanted:g} or more",
            found.get(name, math.nan),
            reached=lambda value, wanted=wanted: value >= wanted,  # type: ignore[misc]  # mypy types no lambda's default
        )
        for name, wanted in RATIOS.items()
    ]


def _scaling(rows: Sequence[Row]) -> Finding:
    rates = {
        row.case.handlers: median(row.figures["rate"]) for row in rows if row.case.bench == "scaling" and row.figures
    }
    factor = rates[2] / rates[1] if {1, 2} <= rates.keys() else math.nan
    return _finding(
        "from 1 handler to 2, poller on the same cores, times", "1.75 or more", factor, reached=lambda x: x >= 1.75
    )
