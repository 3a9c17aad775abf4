"""Pure rules: the figures that benchmarks return: what each is called, how it is shown, in which order."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """How one figure is shown."""

    title: str
    digits: int = 1
    judged: bool = True  #: whether two passes have to agree on it; counts and tails of a storm need not


#: In the order of the columns: CPU and ratios first.
FIGURES = {
    "cpu_us": Figure("CPU µs / message"),
    "share": Figure("share of ceiling", 2),
    "cpu_share": Figure("CPU share of ceiling", 2),
    "rate": Figure("messages/s", 0),
    "ceiling": Figure("ceiling, messages/s", 0),
    "mb_per_second": Figure("MB/s", 0),
    "calls": Figure("calls / message", 3),
    "dollars": Figure("$ / million", 3),
    "cores": Figure("cores used", 2),
    "server_us": Figure("server CPU µs / message"),
    "in_flight": Figure("in flight at most", 0),
    "arrivals": Figure("arrivals/s", 0),
    "start_p50_ms": Figure("receive to start p50 ms", 2),
    "start_p99_ms": Figure("p99 ms", 2, judged=False),
    "effect_p50_ms": Figure("send to effect p50 ms", 2),
    "effect_p99_ms": Figure("p99 ms", 2, judged=False),
    "supervisor_uss_mb": Figure("supervisor USS MB"),
    "poller_uss_mb": Figure("poller USS MB"),
    "handler_uss_mb": Figure("handler USS MB"),
    "poller_peak_mb": Figure("poller RSS MB, peak", 0),
    "uss_mb": Figure("tree USS MB", 0),
    "rss_mb": Figure("tree RSS MB", 0),
    "calls_a_minute": Figure("calls / minute"),
    "wakeups": Figure("wakeups/s"),
    "idle_cpu": Figure("CPU %", 2, judged=False),
    "first_effect_s": Figure("start to first effect s", 2),
    "ready_s": Figure("start to ready s", 2),
    "drain_s": Figure("drain s", 2, judged=False),
    "done_and_left": Figure("done and not deleted", 0, judged=False),
    "sent": Figure("messages", 0, judged=False),
    "kills": Figure("kills", 0, judged=False),
    "lost": Figure("lost", 0, judged=False),
    "duplicated": Figure("duplicated", 0, judged=False),
    "hung": Figure("hung", 0, judged=False),
    "unfinished": Figure("unfinished", 0, judged=False),
    "calm_s": Figure("until empty s", 0, judged=False),
}


def show(name: str, value: float) -> str:
    """A value as its column shows it; huge ones without decimals."""
    if math.isnan(value):
        return "-"
    digits = FIGURES[name].digits if name in FIGURES else 2
    return f"{value:,.{0 if abs(value) >= 1000 else digits}f}"
