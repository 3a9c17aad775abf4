"""Command line: `python -m benchmarks`: runs a selection; shows tables, JSON, charts, or fills a Markdown page."""

from __future__ import annotations

import contextlib
import itertools
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table as Shown

from benchmarks import charts, page, report, suite
from benchmarks.contender import WORKER, Contender
from benchmarks.cpu_bound import calibrate
from benchmarks.endpoints import Endpoint, aws, embedded
from benchmarks.localstack import localstack
from benchmarks.machine import header
from benchmarks.options import Options, parse
from benchmarks.rivals.catalog import RIVALS, installed
from benchmarks.rows import Row, from_json, to_json
from benchmarks.stage import Stage


def main(arguments: list[str] | None = None) -> int:
    """Measure or read, then show; 1 if a case gave no figure."""
    options = parse(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a kill cleans up as Ctrl-C does
    if options.sources:
        headers, rows = _read(options.sources)
    else:
        headers, rows = _measure(options, "python -m benchmarks " + shlex.join(arguments or sys.argv[1:]))
    if options.json:
        options.json.write_bytes(orjson.dumps({"headers": headers, "rows": to_json(rows)}, option=orjson.OPT_INDENT_2))
    _show(headers, rows)
    if options.charts:
        try:
            for path in charts.draw(rows, options.charts):
                print(f"wrote {path}")
        except charts.NoCharts as error:
            print(error, file=sys.stderr)
    if options.markdown:
        options.markdown.write_text(page.fill(options.markdown.read_text(), rows, headers, how=_how()))
        print(f"wrote {options.markdown}")
    return 1 if any(row.failure for row in rows) else 0


def _measure(options: Options, command: str) -> tuple[list[Mapping[str, str]], list[Row]]:
    with _endpoint(options.endpoint) as endpoint:
        head = header(endpoint=endpoint.name, command=command)
        rivals: Mapping[str, Contender] = installed(options.rivals) if options.rivals else {}
        stage = Stage(
            endpoint=endpoint, quick=options.quick, spin=calibrate(), contenders={WORKER.name: WORKER, **rivals}
        )
        cases = suite.plan(options.benches, stage)
        runs = suite.order(cases, passes=options.passes, repetitions=options.repetitions)
        with _progress(len(runs)) as tell:
            rows = suite.run(runs, stage, tell)
    return [head], rows


@contextlib.contextmanager
def _endpoint(name: str) -> Iterator[Endpoint]:
    if name == "aws":
        yield aws()
        return
    with embedded() if name == "embedded" else localstack() as endpoint:
        yield endpoint


@contextlib.contextmanager
def _progress(total: int) -> Iterator[suite.Tell]:
    console = Console(stderr=True)
    if not console.is_terminal:
        numbers = itertools.count(1)
        yield lambda what: print(f"{next(numbers)}/{total} {what}", file=sys.stderr, flush=True)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        bar = progress.add_task("starting", total=total)
        started = False

        def tell(what: str) -> None:
            nonlocal started
            progress.update(bar, description=what, advance=1 if started else 0)
            started = True

        yield tell
        progress.update(bar, completed=total, description="done")


def _read(paths: Sequence[Path]) -> tuple[list[Mapping[str, str]], list[Row]]:
    headers: list[Mapping[str, str]] = []
    rows: dict[object, Row] = {}
    for path in paths:
        data = orjson.loads(path.read_bytes())
        headers += data["headers"]
        # The figure of a later file takes the place of an earlier one's; a failure takes nobody's.
        rows |= {row.case.key(): row for row in from_json(data["rows"]) if row.figures or row.case.key() not in rows}
    return headers, list(rows.values())


def _how() -> dict[str, str]:
    return {WORKER.name: WORKER.how, **{rival.name: rival.how for rival in RIVALS}}


def _show(headers: Sequence[Mapping[str, str]], rows: Sequence[Row]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 220)
    for head in headers:
        console.print(report.head(head), highlight=False)
    for table in report.tables(rows):
        shown = Shown(title=f"{table.bench}: {suite.BENCHES[table.bench].ABOUT}", title_justify="left")
        for place, column in enumerate(table.columns):
            shown.add_column(column, justify="left" if place == 0 else "right")
        for line in table.cells:
            shown.add_row(*line)
        console.print(shown)
        for note in table.notes:
            console.print(f"no figure: {note}", style="yellow", highlight=False, markup=False)


if __name__ == "__main__":
    raise SystemExit(main())
