"""Command line: searches the scopes of the model, and proves that each seeded mistake is found.

    python -m tests.model.run                       the scopes of `make unit`, then the mutants
    python -m tests.model.run --large               scopes that take minutes
    python -m tests.model.run --only "standard, one fault"

Each search has a process of its own, since what one has in memory at its end is of no use to the next.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.model.every_mutant import MUTANTS
from tests.model.scopes import LARGE, SMALL, Searched
from tests.model.search import search

#: Worlds after which a search by hand gives up; some 30 KiB of memory for each state of a poller among them.
MOST = 5_000_000


@dataclass(slots=True)
class Result:
    """What one search came to, as a line of JSON has it."""

    name: str
    worlds: int
    moves: int
    pollers: int
    wrong: str
    trace: list[str] = field(default_factory=list)
    seconds: float = 0.0  #: of CPU


def search_scope(searched: Searched, *, name: str, watch: Callable[[int], None]) -> Result:
    """The shipped code in one scope."""
    return _search(searched, name, watch)


def search_mutant(name: str, *, watch: Callable[[int], None]) -> Result:
    """A seeded mistake in its scope. Not found, or not as itself, is what is wrong."""
    mutant = next(one for one in MUTANTS if one.name == name)
    with pytest.MonkeyPatch.context() as patch:
        mutant.put(patch)
        result = _search(Searched(scope=mutant.scope), name, watch)
    if mutant.caught not in result.wrong:
        result.wrong = f"NOT CAUGHT: {result.wrong or 'holds'}"
    return result


def _search(searched: Searched, name: str, watch: Callable[[int], None]) -> Result:
    began = time.process_time()
    found = search(searched.scope, most=MOST, watch=watch)
    seconds = time.process_time() - began
    return Result(name, found.worlds, found.moves, found.pollers, found.wrong, found.trace, seconds)


def main(arguments: list[str]) -> int:
    """Search; 0 if the shipped code holds in every scope and every mutant is caught."""
    options = _options(arguments)
    if options.child:
        return _child(options.child, options.only)
    scopes = [name for name in (LARGE if options.large else SMALL) if options.only in ("", name)]
    mutants = [mutant.name for mutant in MUTANTS if not options.large and options.only in ("", mutant.name)]
    if not scopes and not mutants:
        print(f"no scope and no mutant is called {options.only!r}: {', '.join((*SMALL, *LARGE))}", file=sys.stderr)
        return 2
    console = Console() if sys.stdout.isatty() else Console(width=140)  # in a file, a row stays a line
    results = _searches([("scope", name) for name in scopes] + [("mutant", name) for name in mutants], options, console)
    held, caught = results[: len(scopes)], results[len(scopes) :]
    good = _scopes(console, held)
    good &= _mutants(console, caught)
    return 0 if good else 1


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.model.run", description=__doc__.split("\n")[0])
    parser.add_argument("--large", action="store_true", help="the scopes that take minutes, and no mutants")
    parser.add_argument("--only", default="", metavar="NAME", help="this scope or mutant")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="searches at a time")
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _child(kind: str, name: str) -> int:
    """One search, told on standard output: numbers of worlds while it goes on, then the result."""

    def watch(worlds: int) -> None:
        print(worlds, flush=True)

    if kind == "mutant":
        result = search_mutant(name, watch=watch)
    else:
        result = search_scope({**SMALL, **LARGE}[name], name=name, watch=watch)
    sys.stdout.buffer.write(orjson.dumps(result) + b"\n")
    sys.stdout.flush()
    os._exit(0)  # giving back gigabytes of small objects one by one takes longer than many a search


def _searches(jobs: list[tuple[str, str]], options: argparse.Namespace, console: Console) -> list[Result]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress, ThreadPoolExecutor(options.jobs) as threads:
        bar = progress.add_task("searches", total=len(jobs))

        def one(job: tuple[str, str]) -> Result:
            kind, name = job
            own = progress.add_task(name, total=None)
            command = [sys.executable, "-m", "tests.model.run", "--child", kind, "--only", name]
            with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as process:
                line = b""
                for line in process.stdout or ():
                    if not line.startswith(b"{"):
                        progress.update(own, completed=int(line))
            progress.remove_task(own)
            progress.advance(bar)
            if process.returncode:
                return Result(name, 0, 0, 0, f"the search ended with code {process.returncode}")
            result = Result(**orjson.loads(line))
            verdict = result.wrong or "holds"
            console.print(f"{name}: {result.worlds:,} worlds, {result.seconds:.1f} s, {verdict}", markup=False)
            return result

        return list(threads.map(one, jobs))


def _scopes(console: Console, results: list[Result]) -> bool:
    """A table of scopes, the traces of what does not hold, and whether all hold."""
    table = Table(title="the shipped code", title_justify="left")
    for heading in ("scope", "worlds", "moves", "poller states", "CPU s"):
        table.add_column(heading, justify="left" if heading == "scope" else "right")
    table.add_column("verdict")
    for one in results:
        size = (f"{one.worlds:,}", f"{one.moves:,}", f"{one.pollers:,}", f"{one.seconds:.1f}")
        table.add_row(one.name, *size, "[red]BROKEN" if one.wrong else "holds")
    if results:
        console.print(table)
    broken = [one for one in results if one.wrong]
    for one in broken:
        console.print(f"{one.name}: {one.wrong}", style="red", markup=False)
        for number, step in enumerate(one.trace, 1):
            console.print(f"  {number}. {step}", markup=False, highlight=False)
    return not broken


def _mutants(console: Console, results: list[Result]) -> bool:
    """A table of mutants, and whether all are caught."""
    table = Table(title="seeded mistakes", title_justify="left")
    for heading in ("mutant", "steps", "worlds", "CPU s", "caught by"):
        table.add_column(heading, justify="right" if heading in ("steps", "worlds", "CPU s") else "left")
    for one in results:
        missed = one.wrong.startswith("NOT CAUGHT")
        size = (str(len(one.trace)), f"{one.worlds:,}", f"{one.seconds:.1f}")
        table.add_row(one.name, *size, one.wrong, style="red" if missed else "")
    if results:
        console.print(table)
    return not any(one.wrong.startswith("NOT CAUGHT") for one in results)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
