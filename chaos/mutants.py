"""Command line: `python -m chaos.mutants`: does the oracle find bugs in a pool of real processes?

The bugs are those of the simulation. Each is put into every process of the pool (`mutation/sitecustomize.py`), then a
storm of its own comes, with other seeds until the oracle objects; exit code 1 if it never does within its time.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

from chaos.options import Options
from chaos.run import end_on_signals, run
from tests.simulation.bugs import BUGS, Bug

#: Seconds of storm of one run, and of all runs within which a bug has to be found.
_STORM, _PATIENCE = 12.0, 300.0


@dataclass(frozen=True, slots=True)
class Found:
    """What the oracle said of one bug; `objection` is empty if it never objected."""

    bug: str
    objection: str
    runs: int
    seconds: float


def hunt(bug: Bug) -> Found:
    """Storms over a pool with this bug, until one is not valid or the time is over."""
    begin = time.monotonic()
    for seed in _seeds(begin + _PATIENCE):
        folder = Path(tempfile.mkdtemp(prefix="chaos-"))
        try:
            result = run(_options(folder, bug, seed))
        finally:
            shutil.rmtree(folder)
        if not result.verdict.valid:
            return Found(bug.name, ", ".join(result.verdict.violations), seed, time.monotonic() - begin)
    return Found(bug.name, "", seed, time.monotonic() - begin)


def _seeds(end: float) -> Iterator[int]:
    seed = 0
    while not seed or time.monotonic() < end:
        seed += 1
        yield seed


def _options(folder: Path, bug: Bug, seed: int) -> Options:
    return Options(
        folder=folder,
        seconds=_STORM,
        kills=3.0,
        others=2.0,
        fifo=bug.fifo,
        rate=300.0,
        seed=seed,
        long=True,
        singles=0,
        plain_logs=True,
        mutant=bug.name,
    )


def main(arguments: list[str] | None = None) -> int:
    """Hunt the bugs whose names contain a word, or all."""
    end_on_signals()
    parser = argparse.ArgumentParser(prog="python -m chaos.mutants", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("word", nargs="?", default="", help="only bugs whose names contain it")
    wanted = [bug for bug in BUGS if parser.parse_args(arguments).word in bug.name]
    console = Console(highlight=False)
    missed = 0
    for bug in track(wanted, description="mutants", console=Console(stderr=True)):
        found = hunt(bug)
        missed += not found.objection
        told = found.objection or "[red]never found[/red]"
        console.print(f"{found.bug:<42} {found.seconds:>4.0f} s, {found.runs} runs: {told}", soft_wrap=True)
    console.print(f"{len(wanted) - missed} of {len(wanted)} found")
    return 1 if missed or not wanted else 0


if __name__ == "__main__":
    sys.exit(main())
