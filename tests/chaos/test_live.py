"""Real storms: the worker satisfies the oracle, and two naive loops do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos import report
from chaos.options import Options
from chaos.run import Result, run

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


def storm(folder: Path, *, naive: str = "", fifo: bool = False, kills: float = 3.0, seconds: float = 12.0) -> Result:
    return run(
        Options(
            folder=folder,
            seconds=seconds,
            kills=kills,
            others=1.0,
            rate=250.0,
            seed=7,
            singles=0,
            long=False,
            naive=naive,
            fifo=fifo,
        )
    )


@pytest.mark.parametrize(("fifo", "seconds"), [(False, 60.0), (True, 12.0)], ids=["standard", "fifo"])
def test_a_storm_loses_nothing_and_every_duplicate_is_explained(tmp_path: Path, *, fifo: bool, seconds: float) -> None:
    """Real processes, SIGKILL, SIGSTOP, too little memory, a full disk, a bad network, a bad broker."""
    result = storm(tmp_path, fifo=fifo, seconds=seconds)
    assert result.verdict.valid, report.text(result)
    assert result.verdict.counts["confirmed"] > 1000
    assert sum(count for (kind, _), count in result.struck.items() if kind == "kill") > 15
    assert {kind for kind, _ in result.struck} >= {"kill", "stop", "broker"}
    assert result.probes
    assert max(result.probes) < 5.0


def test_a_loop_that_deletes_what_it_receives_loses_messages(tmp_path: Path) -> None:
    """The same storm, the same oracle."""
    result = storm(tmp_path, naive="early", kills=5.0, seconds=6.0)
    assert "lost" in result.verdict.violations, report.text(result)
    assert "deleted before its effect" in result.verdict.violations


def test_a_loop_without_heartbeats_repeats_messages(tmp_path: Path) -> None:
    """Its leases run out while it works, and no fault explains that."""
    result = storm(tmp_path, naive="late", kills=1.0, seconds=6.0)
    assert "unattributed duplicate" in result.verdict.violations, report.text(result)
    assert "unattributed lapse" in result.verdict.violations
