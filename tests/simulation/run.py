"""Command line: simulates worlds, one for each seed and kind of queue, and says which of them broke a promise.

    python -m tests.simulation.run --seeds 0:2000 --jobs 2
    python -m tests.simulation.run --seeds 42 --fifo --verbose

A seed is one history: what it prints once it prints always, on every machine.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.simulation.hub import START, Spinning
from tests.simulation.trace import history
from tests.simulation.world import World

#: Seeds of one process among several.
CHUNK = 25
#: Lines of a failing seed's history that are printed; --verbose prints all.
SHOWN = 120
#: What brings a failing world back.
REPRODUCE = ".venv/bin/python -m tests.simulation.run"


@dataclass(slots=True)
class Result:
    """What one world came to."""

    seed: int
    fifo: bool
    violations: list[str]
    trace: list[str]
    seconds: float  #: of virtual time
    counts: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As the command line wants it."""
        return f"--seeds {self.seed} {'--fifo' if self.fifo else '--standard'}"


def simulate(seed: int, *, fifo: bool) -> Result:
    """One world, from beginning to end, and its verdict."""
    world = World(seed, fifo=fifo)
    try:
        world.run()
    except Spinning as error:
        return Result(seed, fifo, [f"it never rests: {error}"], history(world), world.hub.now - START)
    except Exception:  # noqa: BLE001 - the other worlds go on, and this one's seed is told
        return Result(seed, fifo, [traceback.format_exc()], history(world), world.hub.now - START)
    verdict = world.verdict()
    return Result(
        seed,
        fifo,
        verdict.violations,
        history(world) if verdict.violations else [],
        world.hub.now - START,
        counts={
            "faults": dict(world.faults.injected),
            "duplicates by cause": dict(verdict.duplicates),
            "lapsed leases by cause": dict(verdict.lapses),
            "totals": {
                "messages": len(world.orders),
                "runs": len(world.application.runs),
                "effects": sum(run.effect is not None for run in world.application.runs),
                "processes": len(world.hub.died),
            },
        },
    )


def digest(seed: int, *, fifo: bool) -> str:
    """One world's whole history as a number: two that are equal went the same way."""
    world = World(seed, fifo=fifo)
    world.run()
    return hashlib.sha256("\n".join(history(world)).encode()).hexdigest()


def main(arguments: list[str]) -> int:
    """Simulate; 0 if every promise was kept, 1 if not."""
    options = _options(arguments)
    kinds = [fifo for fifo in (False, True) if not (options.fifo and not fifo) and not (options.standard and fifo)]
    first, last = _seeds(options.seeds)
    if options.digests:
        for seed in range(first, last):
            for fifo in kinds:
                print(seed, "fifo" if fifo else "standard", digest(seed, fifo=fifo))
        return 0
    if options.part:
        for result in _part(first, last, kinds):
            sys.stdout.buffer.write(orjson.dumps(result) + b"\n")
            sys.stdout.flush()
        return 0
    console = Console()
    began = time.monotonic()
    total: dict[str, Counter[str]] = {}
    failed: list[Result] = []
    hours = 0.0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("worlds", total=(last - first) * len(kinds))
        results = _part(first, last, kinds) if options.jobs == 1 else _parts(first, last, options)
        for result in results:
            progress.advance(bar)
            hours += result.seconds / 3600
            for title, counts in result.counts.items():
                total.setdefault(title, Counter()).update(counts)
            if result.violations:
                failed.append(result)
                progress.update(bar, description=f"worlds, {len(failed)} failed")
    worlds = (last - first) * len(kinds)
    _report(console, failed, verbose=options.verbose)
    _summary(console, total, seconds=time.monotonic() - began, worlds=worlds, hours=hours, failed=len(failed))
    return 1 if failed else 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.run", description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", default="0:100", help="FIRST:BEHIND, or one seed")
    parser.add_argument("--fifo", action="store_true", help="FIFO queues only")
    parser.add_argument("--standard", action="store_true", help="standard queues only")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--verbose", action="store_true", help="print the whole history of failing worlds")
    parser.add_argument("--digests", action="store_true", help="print what tells whether two histories are the same")
    parser.add_argument("--part", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _seeds(text: str) -> tuple[int, int]:
    first, colon, last = text.partition(":")
    return int(first), int(last) if colon else int(first) + 1


def _part(first: int, last: int, kinds: list[bool]) -> Iterator[Result]:
    for seed in range(first, last):
        for fifo in kinds:
            yield simulate(seed, fifo=fifo)


def _parts(first: int, last: int, options: argparse.Namespace) -> Iterator[Result]:
    """The same by several processes of this program at a time, each for a few seeds."""
    kinds = [flag for flag, given in (("--fifo", options.fifo), ("--standard", options.standard)) if given]

    def part(start: int) -> list[Result]:
        seeds = f"{start}:{min(last, start + CHUNK)}"
        command = [sys.executable, "-m", "tests.simulation.run", "--part", "--seeds", seeds, *kinds]
        done = subprocess.run(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2], check=True)
        return [Result(**orjson.loads(line)) for line in done.stdout.splitlines()]

    with ThreadPoolExecutor(options.jobs) as threads:
        for results in threads.map(part, range(first, last, CHUNK)):
            yield from results


def _report(console: Console, failed: list[Result], *, verbose: bool) -> None:
    for result in failed[:5]:
        lines = result.trace if verbose else result.trace[-SHOWN:]
        console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
        console.print(f"[bold red]{REPRODUCE} {result.name} --verbose", highlight=False, soft_wrap=True)
        for violation in result.violations:
            console.print(violation, style="red", markup=False, soft_wrap=True)
    for result in failed[5:]:
        text = f"{REPRODUCE} {result.name}: {result.violations[0]}"
        console.print(text, style="red", markup=False, highlight=False, soft_wrap=True)


def _summary(
    console: Console, total: dict[str, Counter[str]], *, seconds: float, worlds: int, hours: float, failed: int
) -> None:
    for title, counts in total.items():
        table = Table(title=title, title_justify="left", show_header=False)
        for name, count in counts.most_common():
            table.add_row(name, str(count))
        console.print(table)
    rate = worlds / seconds
    style = "red" if failed else "green"
    console.print(
        f"{worlds} worlds, {failed} failed, {hours:.0f} virtual hours in {seconds:.0f} s ({rate:.0f}/s)", style=style
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
