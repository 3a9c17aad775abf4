"""The benchmarks that are no part of the suite start as the documents say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs/performance.md"


@pytest.mark.parametrize("name", ["client", "poller", "several", "preload"])
def test_a_program_of_its_own_starts_and_is_listed(name: str) -> None:
    """With `python -m`, from the project's folder; its help names it so, and docs/performance.md does."""
    command = f"python -m benchmarks.{name}"
    found = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--help"], cwd=PAGE.parents[1], capture_output=True, text=True
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith(f"usage: {command} ")
    assert f"`{command}`" in PAGE.read_text()
