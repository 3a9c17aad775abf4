"""The shipped core holds in every world of each scope, and the same search finds every seeded mistake in its scope."""

from __future__ import annotations

import pytest

from tests.model.every_mutant import MUTANTS
from tests.model.mutants import Mutant
from tests.model.scope import FAULTS, Scope
from tests.model.scopes import SMALL
from tests.model.search import BOUND, Found, search

#: Seconds: a search only calculates, for as long as a busy machine makes it.
pytestmark = pytest.mark.timeout(600)

#: The mistakes that consumers of SQS are known for; each is among the mutants.
KNOWN = {
    "early ack",
    "failed entries are ignored",
    "the lease is dropped before the delete is confirmed",
    "what is held is released while polling",
    "sockets are closed on drain",
    "exit before the flush",
    "a zombie lease",
    "two of a group start",
    "a group goes on after a failure",
    "marked as done before the effect",
    "a visibility timeout below the read timeout",
    "batch ids are message ids",
    "a retry with a stale handle",
    "a lease on a clock that was set back",
    "a lease counts from the arrival of the response",
    "a second receipt replaces the first",
}

#: The scopes of mutants that no search of the shipped code covers, each once, by the first mutant that has it.
OWN = {
    mutant.scope: mutant.name
    for mutant in reversed(MUTANTS)
    if not any(searched.scope.covers(mutant.scope) for searched in SMALL.values())
}


def assert_holds(found: Found, scope: Scope) -> None:
    """Nothing is wrong, and each kind of fault that may strike did so in some world."""
    assert not found.wrong, str(found)
    possible = scope.kinds if scope.beats else scope.kinds - {"beat fails"}
    assert set(found.struck) == (possible if scope.faults else set())


@pytest.mark.parametrize("name", SMALL)
def test_the_shipped_core_holds_in_every_world(name: str) -> None:
    """Whatever the order of steps, answers and faults; and from everywhere all work can be finished."""
    searched = SMALL[name]
    found = search(searched.scope)
    assert_holds(found, searched.scope)
    assert found.worlds >= searched.worlds > 0
    assert found.moves >= searched.moves > 0


@pytest.mark.parametrize("scope", OWN, ids=OWN.values())
def test_the_shipped_core_holds_where_a_mistake_is_found(scope: Scope) -> None:
    """So it does where a search above covers the scope: what is caught there is the mistake."""
    assert_holds(search(scope), scope)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mistake_is_found(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A seeded mistake is caught, by the invariant that it breaks."""
    mutant.put(monkeypatch)
    found = search(mutant.scope)
    assert mutant.caught in found.wrong, str(found)
    assert found.trace


def test_the_known_mistakes_are_among_the_mutants() -> None:
    """Each has a name of its own, and none of those that others made is missing."""
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names)
    assert set(names) >= KNOWN


def test_every_kind_of_fault_is_in_a_scope() -> None:
    """On a standard queue and on a FIFO queue, and two of them at once."""
    for fifo in (False, True):
        scopes = [searched.scope for searched in SMALL.values() if searched.scope.fifo is fifo]
        struck = {
            kind for scope in scopes if scope.faults for kind in scope.kinds if kind != "beat fails" or scope.beats
        }
        assert struck == set(FAULTS)
        assert max(scope.faults for scope in scopes) >= 2


def test_a_search_that_is_not_finished_says_so() -> None:
    """Worlds beyond the bound are unknown, so that none was wrong means nothing."""
    assert search(Scope(faults=0), most=100).wrong == BOUND


def test_the_first_trace_is_the_shortest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Breadth first: a message is given, arrives, and its early ack takes effect."""
    mutant = next(one for one in MUTANTS if one.name == "early ack")
    mutant.put(monkeypatch)
    found = search(mutant.scope)
    assert len(found.trace) == 3
    assert found.trace[-1].startswith("settle: delete")
