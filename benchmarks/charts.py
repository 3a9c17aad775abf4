"""Benchmark process: charts of a run, as PNG and SVG, where matplotlib is installed (the extra `bench`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.rows import Row
from benchmarks.spread import median

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OURS, _THEIRS = "#1b7f5c", "#9aa5b1"


class NoCharts(Exception):
    """matplotlib is not installed; `str()` says how it is."""


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Write a chart for each benchmark that has one; their paths. Raises NoCharts."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise NoCharts("no charts: install matplotlib with pip install 'worker[bench]'") from None
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw_one in _CHARTS.items():
        found = [row for row in rows if row.case.bench == name and row.figures]
        if not found:
            continue
        figure = Figure(figsize=(8, 1.5 + 0.4 * len(found)), layout="constrained")
        draw_one(figure.subplots(), found)
        for ending in ("png", "svg"):
            written.append(folder / f"{name}.{ending}")
            figure.savefig(written[-1], dpi=120)
    return written


def _bars(figure: str, title: str, *, log: bool = False) -> Callable[[Axes, Sequence[Row]], None]:
    """Horizontal bars, the smallest on top."""

    def draw_bars(axes: Axes, rows: Sequence[Row]) -> None:
        shown = sorted((row for row in rows if figure in row.figures), key=lambda row: -median(row.figures[figure]))
        values = [median(row.figures[figure]) for row in shown]
        labels = [_label(row) for row in shown]
        colours = [_OURS if row.case.contender == "worker" else _THEIRS for row in shown]
        bars = axes.barh(labels, values, color=colours)
        axes.bar_label(bars, [f"{value:,.3g}" if value < 1000 else f"{value:,.0f}" for value in values], padding=3)
        axes.margins(x=0.15, y=0.02)
        if log:
            axes.set_xscale("log")
            axes.set_xlim(left=1)  # bars of a log scale have no natural foot; this one is the same in every run
            axes.xaxis.set_minor_formatter("")
        axes.set_xlabel(title)
        axes.spines[["top", "right"]].set_visible(False)

    return draw_bars


def _line(axes: Axes, rows: Sequence[Row]) -> None:
    """Messages a second over handler processes."""
    points = sorted((row.case.handlers, median(row.figures["rate"])) for row in rows)
    axes.plot([x for x, _ in points], [y for _, y in points], marker="o", color=_OURS)
    axes.set_xlabel("handler processes")
    axes.set_ylabel("messages/s, 1 ms of Python each")
    axes.set_ylim(bottom=0)


def _label(row: Row) -> str:
    parts = [row.case.contender, row.case.variant, f"{row.case.latency * 1000:g} ms a call"]
    return ", ".join(part for part in parts if part)


_CHARTS: dict[str, Callable[[Axes, Sequence[Row]], None]] = {
    "throughput": _bars("cpu_us", "CPU µs per message, whole tree, no-op handler, 1 KiB (log scale)", log=True),
    "cpu_bound": _bars("share", "share of what the cores do without a queue, 1 ms of Python a message"),
    "scaling": _line,
    "storm": _bars("duplicated", "duplicated messages in a kill storm"),
}
