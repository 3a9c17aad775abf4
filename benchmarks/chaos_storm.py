"""Benchmark process: the hard storm for our pool: `python -m chaos`, with network and broker at fault."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from benchmarks.rows import Case
from benchmarks.stage import NoFigure, Stage
from chaos import run as chaos
from chaos.options import Options

ABOUT = "three SIGKILLs and one other fault a second, 300 messages a second; judged by the oracle of chaos/"


def cases(stage: Stage) -> list[Case]:
    """Our pool, against an embedded server of its own."""
    return [Case(bench="chaos_storm", work="0 to 60 ms", handlers=3)] if stage.endpoint.has_latency else []


def run(case: Case, stage: Stage) -> dict[str, float]:
    """A run and its verdict. Raises NoFigure where it is not valid: there are logs to read then, no figures."""
    folder = Path(tempfile.mkdtemp(prefix="bench-chaos-"))
    seconds = 4.0 if stage.quick else 60.0
    result = chaos.run(
        Options(folder=folder, seconds=seconds, rate=300.0, handlers=case.handlers, singles=0, long=False)
    )
    verdict = result.verdict
    if not verdict.valid:
        raise NoFigure(f"NOT VALID, logs in {folder}: {verdict.violations}")
    shutil.rmtree(folder)
    return {
        "sent": verdict.counts["attempted"],
        "kills": sum(count for (kind, _), count in result.struck.items() if kind == "kill"),
        "lost": verdict.counts.get("lost", 0),
        "duplicated": verdict.counts["duplicated"],
        "hung": verdict.messages["left"],
    }
