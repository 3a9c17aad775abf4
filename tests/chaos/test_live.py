"""Real storms: the worker satisfies the oracle, and two naive loops do not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chaos import report, targets
from chaos.logs import EFFECTS
from chaos.options import Options
from chaos.run import Result, run
from tests.conftest import eventually

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
    """The same storm, the same oracle. Not so many kills that it only ever boots: then it holds nothing to lose."""
    result = storm(tmp_path, naive="early", kills=2.0, seconds=10.0)
    assert "lost" in result.verdict.violations, report.text(result)
    assert "deleted before its effect" in result.verdict.violations


@pytest.mark.long
def test_a_loop_without_heartbeats_repeats_messages(tmp_path: Path) -> None:
    """Its leases run out while it works, and no fault explains that."""
    result = storm(tmp_path, naive="late", kills=1.0, seconds=6.0)
    assert "unattributed duplicate" in result.verdict.violations, report.text(result)
    assert "unattributed lapse" in result.verdict.violations


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_broken_off_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    """No process, no mounted disk, no folder."""
    command = [sys.executable, "-m", "chaos", "--rate", "50"]
    process = subprocess.Popen(command, env=os.environ | {"TMPDIR": str(tmp_path)})
    try:
        eventually(lambda: any(path.stat().st_size for path in tmp_path.glob("chaos-*/effects")), seconds=60)
        (effects,) = tmp_path.glob("chaos-*/effects")
        pool = targets.carrying(f"{EFFECTS}={effects}", below=process.pid)
        process.send_signal(number)
        assert process.wait(60) == 128 + number
    finally:
        process.kill()
        process.wait()
    assert pool
    eventually(lambda: not any(map(targets.command, pool)))
    assert list(tmp_path.iterdir()) == []
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
