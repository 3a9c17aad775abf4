"""Command line: what a benchmark run is to be."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from benchmarks.suite import BENCHES, FOR_RIVALS

_ENDPOINTS = ("embedded", "localstack", "aws")
_EPILOG = """\
examples:
  python -m benchmarks                                   everything, with two passes of three repetitions
  python -m benchmarks throughput idle --quick           a look
  python -m benchmarks throughput --rivals all           beside the rivals that `make bench-rivals` installs
  python -m benchmarks --endpoint localstack elsewhere   LocalStack, installed into .bench
  python -m benchmarks --from FILE --markdown docs/performance.md    results into the page, without measuring

One part of the pool at a time, with options of their own (--help): python -m benchmarks.client, .poller, .several,
.preload; and .profile, which takes none.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a run is to be."""

    benches: tuple[str, ...]
    quick: bool
    passes: int
    repetitions: int
    endpoint: str
    rivals: tuple[str, ...]
    json: Path | None
    charts: Path | None
    markdown: Path | None
    sources: tuple[Path, ...]  #: results of earlier runs, shown in place of a new one


def parse(arguments: list[str] | None) -> Options:
    """The options; argparse ends the program where they are wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures the pool: CPU per message first.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("benches", nargs="*", metavar="BENCH", help=f"which of {', '.join(BENCHES)} (default: all)")
    add("--quick", action="store_true", help="short windows, once: a look, no figure to quote")
    add("--passes", type=int, default=0, help="times over the whole selection (default: 2; quick: 1)")
    add("--repetitions", type=int, default=0, help="runs of each case in a pass (default: 3; quick: 1)")
    add("--endpoint", choices=_ENDPOINTS, default="embedded", help="what to measure against (default: %(default)s)")
    add("--rivals", default="", metavar="NAMES", help="`all`, or names with commas between, beside our pool")
    add("--json", type=Path, metavar="FILE", help="write the results there")
    add("--charts", type=Path, metavar="FOLDER", help="draw charts there, as PNG and SVG (needs the extra `bench`)")
    add("--markdown", type=Path, metavar="PAGE", help="put the tables into this page, between its markers")
    add("--from", dest="sources", type=Path, nargs="+", default=[], metavar="FILE", help="show results of earlier runs")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.benches if name not in BENCHES]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are: {', '.join(BENCHES)}")
    chosen = given.benches or (FOR_RIVALS if given.rivals else BENCHES)
    return Options(
        benches=tuple(chosen),
        quick=given.quick,
        passes=given.passes or (1 if given.quick else 2),
        repetitions=given.repetitions or (1 if given.quick else 3),
        endpoint=given.endpoint,
        rivals=tuple(name for name in given.rivals.split(",") if name),
        json=given.json,
        charts=given.charts,
        markdown=given.markdown,
        sources=tuple(given.sources),
    )
