"""Benchmark process: runs a selection of benchmarks: every case in every repetition of every pass, in turn.

Cases take turns within a repetition, so that whatever else the machine does hits all of them alike. A pass is the whole
selection once more: two passes tell whether the same figure is found twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import ModuleType

from benchmarks import (
    big_bodies,
    chaos_storm,
    cost,
    cpu_bound,
    elsewhere,
    endings,
    idle,
    io_bound,
    latency,
    memory,
    producer,
    scaling,
    storm,
    throughput,
)
from benchmarks.rows import Case, Row
from benchmarks.stage import Stage

#: By name; each module has `ABOUT`, `cases(stage) -> list[Case]` and `run(case, stage) -> dict[str, float]`.
BENCHES: dict[str, ModuleType] = {
    "throughput": throughput,
    "elsewhere": elsewhere,
    "cpu_bound": cpu_bound,
    "io_bound": io_bound,
    "scaling": scaling,
    "latency": latency,
    "cost": cost,
    "big_bodies": big_bodies,
    "producer": producer,
    "memory": memory,
    "idle": idle,
    "endings": endings,
    "storm": storm,
    "chaos_storm": chaos_storm,
}
#: Benchmarks that are run for rivals as well.
FOR_RIVALS = ("throughput", "cpu_bound", "storm")
#: Benchmarks whose figures are counts or come from long looks: once a pass is enough.
ONCE = {"idle", "storm", "chaos_storm", "memory"}

#: Told which case is next, of how many runs, and why one gave no figure.
Tell = Callable[[str], None]


def plan(names: Sequence[str], stage: Stage) -> list[Case]:
    """All cases of a selection, in their order."""
    return [case for name in names for case in BENCHES[name].cases(stage)]


def order(cases: Sequence[Case], *, passes: int, repetitions: int) -> list[tuple[Case, int]]:
    """Every run: the case, and its pass."""
    return [
        (case, turn)
        for turn in range(passes)
        for repetition in range(repetitions)
        for case in cases
        if repetition == 0 or case.bench not in ONCE
    ]


def run(runs: Iterable[tuple[Case, int]], stage: Stage, tell: Tell) -> list[Row]:
    """Run them; a case that cannot be measured is noted, and the others go on. Ctrl-C ends it with what there is."""
    rows: dict[object, Row] = {}
    for case, turn in runs:
        tell(case.label())
        row = rows.setdefault(case.key(), Row(case))
        try:
            row.add(BENCHES[case.bench].run(case, stage), turn=turn)
        except KeyboardInterrupt:
            tell("broken off")
            break
        except Exception as error:  # noqa: BLE001 - one contender that fails must not cost the others their figures
            row.failure = f"{type(error).__name__}: {error}"[:500]
    return list(rows.values())
