"""Test process: seeded mistakes: what a mutant is, and the list of them all. Each must be caught by the same search.

They are patches of the shipped code (`policy_mutants`, `adoption_mutants`, `poller_mutants`) or of the order in which
its actors act (`world_mutants`), never a copy of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.model.scope import Scope

Put = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A mistake, where it is looked for, and what must be said of it."""

    name: str
    put: Put  #: into the code
    scope: Scope
    caught: str  #: a part of what is wrong


MUTANTS: list[Mutant] = []


def mutant(caught: str, *, kinds: tuple[str, ...] = (), **scope: Any) -> Callable[[Put], Put]:
    """Adds a mutant, named as the function that puts it into the code; `kinds`: of the faults that it needs."""

    def add(put: Put) -> Put:
        where = Scope(kinds=frozenset(kinds), **{"faults": len(kinds), **scope})
        MUTANTS.append(Mutant(name=put.__name__.replace("_", " "), put=put, scope=where, caught=caught))
        return put

    return add
