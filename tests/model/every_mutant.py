"""Test process: the list of all seeded mistakes, complete: importing their modules is what adds them."""

from __future__ import annotations

from tests.model import adoption_mutants, policy_mutants, poller_mutants, world_mutants
from tests.model.mutants import MUTANTS

__all__ = ["MUTANTS", "adoption_mutants", "policy_mutants", "poller_mutants", "world_mutants"]
