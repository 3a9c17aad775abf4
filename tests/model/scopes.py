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


def _small(worlds: int, moves: int, scope: Scope) -> Searched:
    return Searched(scope=scope, worlds=worlds, moves=moves)


ONE, THREE, TWO_GROUPS = ("a",), ("a", "a", "a"), ("a", "a", "b")
KILLS = frozenset({"handler killed", "poller killed"})
MIXED = KILLS | {"lapse", "second delivery", "entry again"}
LEASES = frozenset({"beat fails", "lapse", "second delivery"})
REJECTS = frozenset({"reject", "entry again", "entry final"})
FORWARDS = frozenset({"forward", "entry again", "poller killed"})

#: Every world of each is searched by `make unit`. Unless they say so: two messages (of one group), two handlers, one
#: fault of any kind at any moment, and a drain at any time.
SMALL: dict[str, Searched] = {
    "standard, no fault": _small(250, 700, Scope(faults=0)),
    "FIFO, no fault": _small(75, 160, Scope(faults=0, fifo=True)),
    "standard, no fault, beats": _small(1_000, 4_800, Scope(faults=0, beats=True)),
    "FIFO, no fault, beats": _small(140, 480, Scope(faults=0, fifo=True, beats=True)),
    "FIFO, no fault, two groups": _small(1_000, 2_900, Scope(faults=0, fifo=True, groups=TWO_GROUPS)),
    "standard, one fault": _small(23_000, 80_000, Scope()),
    "FIFO, one fault": _small(9_000, 29_000, Scope(fifo=True)),
    "standard, two faults, one message": _small(9_100, 29_000, Scope(faults=2, groups=ONE, handlers=1)),
    "FIFO, two faults, one message": _small(11_000, 36_000, Scope(faults=2, fifo=True, groups=ONE, handlers=1)),
    "standard, two mixed faults, prompt": _small(
        28_000, 48_000, Scope(faults=2, kinds=MIXED, handlers=1, prompt=True, drains=False)
    ),
    "FIFO, two faults, prompt": _small(
        29_000, 61_000, Scope(faults=2, fifo=True, handlers=1, prompt=True, drains=False)
    ),
    "standard, beats fail": _small(960, 4_000, Scope(kinds=LEASES, beats=True, groups=ONE, handlers=1)),
    "FIFO, beats fail": _small(
        2_300, 6_900, Scope(kinds=LEASES, beats=True, fifo=True, handlers=1, prompt=True, drains=False)
    ),
    "standard, kills, ghosts": _small(8_900, 29_000, Scope(kinds=KILLS, ghosts=True, handlers=1)),
    "FIFO, kills, ghosts": _small(6_500, 21_000, Scope(kinds=KILLS, ghosts=True, fifo=True, handlers=1)),
    "standard, kills, two at a handler": _small(5_200, 16_000, Scope(kinds=KILLS, credit=2, handlers=1)),
    "standard, kills, receives are counted": _small(6_500, 19_000, Scope(kinds=KILLS, redrive=3, handlers=1)),
    "standard, rejects, no dead-letter queue": _small(
        2_600, 8_300, Scope(kinds=REJECTS, dead_letter=False, handlers=1)
    ),
    "FIFO, rejects at the last attempt": _small(
        960,
        2_100,
        Scope(faults=2, kinds=REJECTS - {"entry final"} | {"retry"}, attempts=1, fifo=True, handlers=1, prompt=True),
    ),
    "standard, forwards": _small(910, 2_600, Scope(faults=2, kinds=FORWARDS, groups=ONE, handlers=1)),
    "FIFO, forwards": _small(1_800, 5_700, Scope(faults=2, kinds=FORWARDS, fifo=True, groups=ONE, handlers=1)),
    "standard, two long polls": _small(
        760, 1_500, Scope(kinds=frozenset({"receive lost", "second delivery"}), polls=2, handlers=1, drains=False)
    ),
    "FIFO, two groups, prompt": _small(
        17_000, 37_000, Scope(kinds=MIXED, fifo=True, groups=TWO_GROUPS, handlers=1, prompt=True, drains=False)
    ),
}

#: By hand: minutes and gigabytes each.
LARGE: dict[str, Searched] = {
    "standard, three messages, no fault": Searched(scope=Scope(faults=0, groups=THREE)),
    "standard, three messages, one fault, prompt": Searched(scope=Scope(groups=THREE, prompt=True)),
    "FIFO, two groups, one fault": Searched(scope=Scope(fifo=True, groups=TWO_GROUPS)),
    "standard, two faults": Searched(scope=Scope(faults=2)),
    "FIFO, two faults": Searched(scope=Scope(faults=2, fifo=True)),
    "standard, three faults, one message": Searched(scope=Scope(faults=3, groups=ONE)),
    "standard, two faults, prompt": Searched(scope=Scope(faults=2, prompt=True)),
    "FIFO, two faults, prompt, drains": Searched(scope=Scope(faults=2, fifo=True, prompt=True)),
    "FIFO, three faults, prompt": Searched(scope=Scope(faults=3, fifo=True, prompt=True, handlers=1)),
    "standard, one fault, beats, prompt": Searched(scope=Scope(beats=True, prompt=True)),
    "FIFO, one fault, beats": Searched(scope=Scope(beats=True, fifo=True)),
    "standard, three kills, ghosts": Searched(scope=Scope(faults=3, kinds=KILLS, ghosts=True, prompt=True)),
    "FIFO, three kills, ghosts": Searched(scope=Scope(faults=3, kinds=KILLS, ghosts=True, fifo=True, prompt=True)),
}
