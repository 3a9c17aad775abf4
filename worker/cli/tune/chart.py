"""Command line: the chart of `worker tune`, if matplotlib is installed: every trial, the best one marked."""

from __future__ import annotations

from pathlib import Path

from worker.cli.tune.course import words
from worker.cli.tune.recommendation import Advice


class NoChart(Exception):
    """It cannot be drawn; `str()` says why, or how it can."""


def draw(advice: Advice, path: Path) -> None:
    """Write it as PNG or SVG, by the ending of the path. Raises NoChart."""
    if path.suffix not in (".png", ".svg"):
        raise NoChart(f"no chart: {path} ends neither in .png nor in .svg")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise NoChart("no chart: pip install 'worker[bench]' brings matplotlib, which draws it") from None
    trials = list(reversed(advice.trials))
    figure = Figure(figsize=(9, 1.5 + 0.35 * len(trials)), layout="constrained")
    axes = figure.subplots()
    colours = ["#1b7f5c" if trial is advice.best else "#9aa5b1" for trial in trials]
    bars = axes.barh(range(len(trials)), [trial.rate for trial in trials], color=colours)
    axes.set_yticks(range(len(trials)), [words(trial.settings) for trial in trials], fontsize=8)
    axes.bar_label(bars, [f"{trial.rate:,.0f}" for trial in trials], padding=3, fontsize=8)
    axes.set_xlabel(f"messages/s, queue {advice.table}; limit: {advice.limit.partition(':')[0]}")
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise NoChart(f"no chart: {path}: {error.strerror}") from None
