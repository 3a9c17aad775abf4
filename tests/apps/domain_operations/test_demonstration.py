"""Test process: `worker demo domain_operations`, and what it expects of itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from apps.domain_operations.demonstration import expected, faults, plan

ROOT = Path(__file__).parents[3]


def test_the_plan_has_everything_in_it() -> None:
    """Activations, repeated keys, deactivations, orders that come twice, and what there is not."""
    messages = list(plan(200))
    assert {one.action for one in messages if one.domain} == {"activate", "deactivate", "suspend"}
    keys = [one.key for one in messages if one.key]
    orders = [one.order for one in messages if one.order >= 0]
    assert len(keys) > len(set(keys))
    assert len(orders) > len(set(orders)) > 0
    assert len(messages) == 200


def test_whatever_is_missing_or_too_many_is_a_fault() -> None:
    """Each count by itself."""
    good = expected(200)
    assert faults(200, good) == []
    for name in good:
        [fault] = faults(200, good | {name: good[name] + 1})
        assert fault.startswith(name.replace("_", " "))


@pytest.mark.system
@pytest.mark.timeout(300)
def test_the_demonstration_ends_well() -> None:
    """Exit code 0, and its counts as JSON: as many zones as active domains, nobody notified twice."""
    command = [sys.executable, "-m", "worker", "demo", "domain_operations", "--messages", "60", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert (told["balanced"], told["counts"]) == (True, expected(60))
    assert told["counts"]["zones"] > 0
