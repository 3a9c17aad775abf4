"""Test process: the scopes that are searched: small ones in `make unit`, larger ones by hand with `make model`."""

from __future__ import annotations

from dataclasses import dataclass

from tests.model.scope import Scope


@dataclass(frozen=True, kw_only=True)
class Searched:
    """A scope, and how much there is in it at least: a search that finds less has gone blind."""

    scope: Scope
    worlds: int = 0
    moves: int = 0


ONE, TWO_GROUPS = ("a",), ("a", "a", "b")
RESTARTS = frozenset({"handler killed", "poller killed"})
LEASES = frozenset({"beat fails", "lapse", "second delivery"})

#: Every world of each is searched by `make unit`. Unless they say so, two messages (of one group), two handlers, one
#: fault of every kind, and a drain at any time.
SMALL: dict[str, Searched] = {
    "standard, no fault": Searched(scope=Scope(faults=0)),
    "FIFO, no fault": Searched(scope=Scope(faults=0, fifo=True)),
    "standard, no fault, beats": Searched(scope=Scope(faults=0, beats=True)),
    "FIFO, no fault, beats": Searched(scope=Scope(faults=0, fifo=True, beats=True)),
    "standard, no fault, three messages": Searched(scope=Scope(faults=0, groups=("a", "a", "a"))),
    "FIFO, no fault, two groups": Searched(scope=Scope(faults=0, fifo=True, groups=TWO_GROUPS)),
    "standard, one fault": Searched(scope=Scope()),
    "FIFO, one fault": Searched(scope=Scope(fifo=True)),
    "standard, two faults, one message": Searched(scope=Scope(faults=2, groups=ONE, handlers=1)),
    "FIFO, two faults, one message": Searched(scope=Scope(faults=2, fifo=True, groups=ONE, handlers=1)),
    "FIFO, two faults, prompt, one handler": Searched(scope=Scope(faults=2, fifo=True, handlers=1, prompt=True)),
    "standard, two faults, prompt, no drain": Searched(scope=Scope(faults=2, prompt=True, drains=False)),
    "standard, two faults, prompt, no drain, one handler": Searched(
        scope=Scope(faults=2, prompt=True, drains=False, handlers=1)
    ),
    "FIFO, two faults, prompt, no drain": Searched(scope=Scope(faults=2, fifo=True, prompt=True, drains=False)),
    "standard, poller killed, ghosts": Searched(scope=Scope(kinds=RESTARTS, ghosts=True, prompt=True)),
    "FIFO, poller killed, ghosts": Searched(scope=Scope(kinds=RESTARTS, ghosts=True, fifo=True, prompt=True)),
    "standard, beats fail": Searched(scope=Scope(kinds=LEASES, beats=True, handlers=1, groups=ONE)),
    "standard, beats fail nodrain": Searched(
        scope=Scope(kinds=LEASES, beats=True, handlers=1, drains=False, prompt=True)
    ),
    "FIFO, beats fail": Searched(scope=Scope(kinds=LEASES, beats=True, fifo=True, prompt=True)),
    "standard, receives are counted": Searched(scope=Scope(kinds=RESTARTS | {"entry again"}, redrive=2, prompt=True)),
    "FIFO, receives are counted": Searched(scope=Scope(kinds=RESTARTS | {"entry again"}, redrive=2, fifo=True)),
    "standard, no dead-letter queue": Searched(
        scope=Scope(faults=2, kinds=frozenset({"reject", "retry"}), dead_letter=False, prompt=True)
    ),
    "FIFO, no dead-letter queue": Searched(
        scope=Scope(faults=2, kinds=frozenset({"reject", "entry final"}), dead_letter=False, fifo=True, prompt=True)
    ),
    "FIFO, the last attempt": Searched(
        scope=Scope(faults=2, kinds=frozenset({"retry", "entry again"}), fifo=True, attempts=1)
    ),
    "standard, forwards": Searched(
        scope=Scope(faults=2, kinds=frozenset({"forward", "entry again", "poller killed"}), handlers=1, groups=ONE)
    ),
    "standard, two long polls": Searched(
        scope=Scope(kinds=frozenset({"receive lost", "second delivery"}), polls=2, handlers=1)
    ),
    "FIFO, two groups, one fault": Searched(scope=Scope(fifo=True, groups=TWO_GROUPS, prompt=True, handlers=1)),
    "standard, two at a handler": Searched(scope=Scope(kinds=RESTARTS | {"retry"}, credit=2, handlers=1)),
    "FIFO, two at a handler": Searched(scope=Scope(kinds=RESTARTS | {"retry"}, credit=2, handlers=1, fifo=True)),
}

LARGE: dict[str, Searched] = {}
