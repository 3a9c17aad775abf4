"""Command line: the course of `worker tune`: trial after trial within the budget, with a progress bar."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from worker.cli import exits
from worker.cli.quantities import rate as shown
from worker.cli.tune.candidates import Space
from worker.cli.tune.source import EmbeddedSource, RealSource
from worker.cli.tune.window import Dry, measure
from worker.policy.tuning import Candidate, Search, Trial, backlog
from worker.settings import Settings

#: Seconds of a window: a share of the budget, within bounds; shorter ones drown in noise.
_SHARE, _SHORTEST, _LONGEST = 1 / 30, 1.5, 10.0
#: Messages that lie in a queue: too few end a window early, and sending too many takes the time of another trial.
_LEAST, _MOST = 1_000, 60_000
#: Seconds that a trial takes beside its window: a server, sending, the start of a pool, its drain.
_AROUND = 5.0


def search(
    space: Space, source: EmbeddedSource | RealSource, *, settings: Settings, sets: Sequence[str], budget: float
) -> list[Trial]:
    """All trials, in their order; one at least, however small the budget is. A real queue may end them early."""
    seconds = min(_LONGEST, max(_SHORTEST, budget * _SHARE))
    plan = Search(space.dimensions, space.start, allowed=space.allowed)
    trials: list[Trial] = []
    begin, longest = time.monotonic(), seconds + _AROUND
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("starting", total=budget)
        while (candidate := plan.next()) is not None:
            used = time.monotonic() - begin
            if trials and used + longest > budget:
                break
            progress.update(bar, completed=used, description=_words(candidate, trials))
            try:
                trials.append(_try(candidate, source, trials=trials, settings=settings, sets=sets, seconds=seconds))
            except Dry as error:
                print(f"{error}: the queue ran empty, so that is all that can be tried", file=sys.stderr)
                break
            plan.tell(trials[-1].rate)
            longest = max(seconds, time.monotonic() - begin - used)
    return trials


def _try(
    candidate: Candidate,
    source: EmbeddedSource | RealSource,
    *,
    trials: Sequence[Trial],
    settings: Settings,
    sets: Sequence[str],
    seconds: float,
) -> Trial:
    best = max((trial.rate for trial in trials), default=0.0)
    count = backlog(best, seconds=seconds + 1.0, least=_LEAST, most=_MOST)
    while True:
        with source.place(count) as place:
            trial = measure(
                settings.config,
                source.table,
                candidate=candidate,
                place=place,
                sets=sets,
                seconds=seconds,
                drain=settings.drain_timeout,
                first=not trials,
            )
        wanted = backlog(trial.rate, seconds=seconds + 1.0, least=_LEAST, most=_MOST)
        if not trial.rate and trials and not place.count:
            raise Dry("no message was handled in a window")
        if not trial.rate:
            raise exits.Quit(exits.FAILED, "no message was handled in a window: give --messages that the handler takes")
        if not place.count or wanted <= 2 * count:
            return trial
        count = wanted  # it was over before the window was: once more, with enough


def _words(candidate: Candidate, trials: Sequence[Trial]) -> str:
    best = max((trial.rate for trial in trials), default=0.0)
    return f"{len(trials) + 1}: " + words(candidate) + (f" (best {shown(best)})" if trials else "")


def words(candidate: Candidate) -> str:
    """Settings in a line."""
    return ", ".join(f"{key} {value}" for key, value in candidate.items())
