"""Pure rules: rows as tables: one for each benchmark, as text columns or as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.figures import FIGURES, show
from benchmarks.rows import Row
from benchmarks.spread import difference, median, spread

#: What the first columns are called, and how a case fills them; those that are the same in all rows are left out.
_ABOUT: dict[str, Callable[[Row], str]] = {
    "contender": lambda row: row.case.contender,
    "work": lambda row: row.case.work,
    "ms a call": lambda row: f"{row.case.latency * 1000:g}",
    "handlers": lambda row: str(row.case.handlers),
    "bytes": lambda row: f"{row.case.size:,}",
    "variant": lambda row: row.case.variant,
}


@dataclass(frozen=True, slots=True)
class Table:
    """A benchmark's table."""

    bench: str
    columns: list[str]
    cells: list[list[str]]
    notes: list[str]


def tables(rows: Sequence[Row]) -> list[Table]:
    """One for each benchmark, in the order in which they come."""
    names = dict.fromkeys(row.case.bench for row in rows)
    return [_table(name, [row for row in rows if row.case.bench == name]) for name in names]


def ratios(rows: Sequence[Row], *, latency: float = 0.0, bench: str = "throughput") -> dict[str, float]:
    """How much more CPU a message costs each rival than us, in the same run."""
    costs = {
        row.case.contender: median(row.figures["cpu_us"])
        for row in rows
        if row.case.bench == bench and row.case.latency == latency and not row.case.variant and "cpu_us" in row.figures
    }
    ours = costs.pop("worker", 0.0)
    return {name: cost / ours for name, cost in costs.items()} if ours else {}


def _table(bench: str, rows: Sequence[Row]) -> Table:
    told = {name: [fill(row) for row in rows] for name, fill in _ABOUT.items()}
    about = [name for name, values in told.items() if len(set(values)) > 1] or ["contender"]
    names = [name for name in FIGURES if any(name in row.figures for row in rows)]
    compared = {row.case.latency: ratios(rows, latency=row.case.latency, bench=bench) for row in rows}
    with_ratio = any(compared.values())
    columns = [*about, *(["times our CPU"] if with_ratio else []), *[FIGURES[name].title for name in names]]
    columns += ["spread", "twice within"]
    cells = []
    for place, row in enumerate(rows):
        line = [told[name][place] for name in about]
        if with_ratio:
            ratio = compared[row.case.latency].get(row.case.contender)
            ours = row.case.contender == "worker" and row.figures and not row.case.variant
            line.append("1x" if ours else f"{ratio:,.1f}x" if ratio and not row.case.variant else "-")
        line += [show(name, median(row.figures[name])) if name in row.figures else "-" for name in names]
        cells.append([*line, *_certainty(row)])
    return Table(bench, columns, cells, [f"{row.case.label()}: {row.failure}" for row in rows if row.failure])


def _certainty(row: Row) -> list[str]:
    """The widest spread of the figures that are judged, and the worst difference between two passes."""
    judged = [passes for name, passes in row.figures.items() if name in FIGURES and FIGURES[name].judged]
    widest = max((spread(passes) for passes in judged), default=0.0)
    apart = [found for passes in judged if (found := difference(passes)) is not None]
    main = next(iter(row.figures.values()), [])
    first = difference(main)
    if not judged or not apart or first is None:
        return [f"±{widest / 2:.0%}" if judged else "-", "-"]
    return [f"±{widest / 2:.0%}", f"{first:.0%} (worst {max(apart):.0%})"]


def markdown(table: Table) -> str:
    """The table as GitHub shows it."""
    lines = [table.columns, ["---"] * len(table.columns), *table.cells]
    text = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    return text + "".join(f"\n\nNo figure: {note.splitlines()[0]}" for note in table.notes)


def head(header: Mapping[str, str]) -> str:
    """The header as lines."""
    return "\n".join(f"{name + ':':15} {text}" for name, text in header.items())
