"""Bugs get into the processes of a pool, and the oracle objects."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from chaos import mutants
from chaos.pool import Setup
from tests.simulation.bugs import BUGS


def setup(tmp_path: Path, mutant: str) -> Setup:
    return Setup(folder=tmp_path, endpoint="", queue_url="", effects=tmp_path / "effects", mutant=mutant)


@pytest.mark.parametrize(
    ("mutant", "module"), [("", "worker.policy.beats"), ("no heartbeats", "tests.simulation.bugs")]
)
def test_a_process_has_the_bug_that_its_pool_is_to_have(tmp_path: Path, mutant: str, module: str) -> None:
    """And none without one."""
    found = subprocess.run(
        [sys.executable, "-c", "from worker.policy import beats; print(beats.due.__module__)"],
        env=setup(tmp_path, mutant).environment(),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    assert found.stdout.strip() == module


@pytest.mark.system
@pytest.mark.long
@pytest.mark.timeout(420)
def test_the_oracle_finds_a_bug_in_a_pool_of_real_processes() -> None:
    """One of those that `make chaos-mutants` hunts, all of which take a quarter of an hour."""
    (bug,) = (one for one in BUGS if one.name == "no heartbeats")
    assert "unattributed lapse" in mutants.hunt(bug).objection
