"""Supervisor process: everything it knows, and the doors to what is outside of it."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from worker.settings import Settings
from worker.supervisor.outside import Outside
from worker.supervisor.tree import Budget, Child, QueueSet, SetState
from worker.telemetry import COUNTERS, Log

#: The last of the counters say what is now; those of a dead poller say nothing.
GAUGES = COUNTERS[-3:]


@dataclass(slots=True)
class Stop:
    """The pool is stopping: nothing undoes it."""

    started_at: float
    budget: Budget
    code: int  #: the exit code, if nothing is left unconfirmed
    unconfirmed: int = 0
    hurried: bool = False


@dataclass(slots=True)
class Reload:
    """A new generation is starting beside the old one."""

    settings: Settings
    started_at: float
    old: list[QueueSet]
    new: list[QueueSet]
    again: bool = False  #: asked for once more meanwhile: the code may have changed since these were started


@dataclass(slots=True)
class Dump:
    """Stacks that children are writing, and who wants them."""

    due: float
    children: list[Child]
    then: Callable[[list[dict[str, Any]]], None]


@dataclass(slots=True, eq=False, kw_only=True)
class Pool:
    """One supervisor's state."""

    settings: Settings
    outside: Outside
    log: Log
    read_settings: Callable[[], Settings]  #: raises ValueError, with a text, if the file is bad
    pid: int
    started_at: float
    sets: list[QueueSet] = field(default_factory=list)  #: oldest first
    totals: dict[str, Counter[str]] = field(default_factory=dict)  #: by queue: counters of the pollers that are gone
    paused: bool = False
    stop: Stop | None = None
    reload: Reload | None = None
    dumps: list[Dump] = field(default_factory=list)
    exit_code: int | None = None
    uids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    epochs: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    links: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    generations: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    state_shown: str = ""
    state_since: float = 0.0
    #: The last turn, and when the next one was meant to be: whoever oversleeps was suspended or stopped, and so was
    #: everybody that it might accuse of being late.
    turned_at: float = float("inf")
    next_turn: float = float("inf")
    awake_since: float = 0.0
    busy_until: float = 0.0  #: of pollers that are gone, as their slots said it
    watch_at: float = 0.0

    def children(self) -> list[Child]:
        """Every living process."""
        return [child for queue_set in self.sets for child in queue_set.children()]

    def current(self) -> list[QueueSet]:
        """The sets that count: of each queue the newest that does not drain and does not belong to a reload."""
        coming = self.reload.new if self.reload else []
        return [s for s in self.sets if s.state is not SetState.DRAINING and s not in coming]

    def state(self) -> str:
        """One word for the whole pool."""
        if self.stop:
            return "draining"
        if self.reload:
            return "reloading"
        if self.paused:
            return "paused"
        return "starting" if any(s.state is SetState.STARTING for s in self.current()) else "running"
