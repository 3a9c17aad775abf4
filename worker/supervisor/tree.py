"""Supervisor process: the tree of processes as data. Other modules start it, judge it and stop it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from worker.policy.recycling import Wear
from worker.policy.restarts import Restarts
from worker.settings import QueueSettings, Settings


class Role(StrEnum):
    """What a child is for; also the name of the package that it runs."""

    POLLER = "poller"
    HANDLER = "handler"
    TEMPLATE = "template"


class Phase(StrEnum):
    """How far the life of a child has come, as the supervisor knows it."""

    STARTING = "starting"  #: not READY yet
    SPARE = "spare"  #: a handler that is READY and has no place
    SERVING = "serving"  #: a handler in its place, a poller or template that is READY
    LEAVING = "leaving"  #: a handler that its poller empties, because its place is to go
    STOPPING = "stopping"  #: told to stop, or given up: it holds nothing and is not counted on any more


class SetState(StrEnum):
    """How far a set has come."""

    STARTING = "starting"  #: not all of its pollers and handlers have been ready yet
    RUNNING = "running"
    DRAINING = "draining"
    GAVE_UP = "gave_up"


@dataclass(frozen=True, slots=True)
class Budget:
    """The times of one drain, in seconds of platform.now()."""

    kill_at: float  #: handlers that still run something are killed
    deadline: float  #: pollers have settled what can be settled
    exit_by: float  #: nothing of it is left


@dataclass(slots=True)
class Ladder:
    """How far the supervisor has gone against a handler that is past a message's deadline."""

    seq: int
    was_running: bool  #: whether the message had been started when the poller complained
    done: int  #: what the handler had finished by then
    due: float  #: when the next rung is climbed
    lease: bool = False  #: its lease ends and nobody can extend it, whatever deadline the handler has
    rung: int = 0


@dataclass(slots=True, eq=False, kw_only=True)
class Child:
    """One process that we started, until it is reaped."""

    uid: int  #: unique over the life of the supervisor
    role: Role
    queue_set: QueueSet
    number: int  #: its place; a spare's lies beyond the places
    started_at: float
    epoch: int = 0  #: of a poller
    pid: int = 0  #: 0: its template has not said yet whom it forked
    phase: Phase = Phase.STARTING
    ready_at: float = 0.0
    poller: Child | None = None  #: of a handler: the process its stream leads to, which may be dead by now
    deadline_told: float | None = None  #: of a poller: the deadline of the last DRAIN sent
    failure: str = ""  #: why it cannot boot, or has to be replaced
    refused: bool = False  #: it says itself that it cannot boot: no second try helps
    caused: bool = False  #: we stopped or killed it, for no fault of its own
    overdue: bool = False  #: killed at the end of the ladder
    ladder: Ladder | None = None
    expected_dead: float = float("inf")  #: it said or showed that it ends: killed if it has not by then
    killed_at: float = float("inf")
    wear: Wear | None = None  #: of a handler: what its recycling goes by
    warned: bool = False  #: the log has been told once that it takes long to start, or to die

    def fields(self) -> dict[str, Any]:
        """What a log line about it says."""
        return {"child": self.role, "queue": self.queue_set.queue.name, "number": self.number, "pid": self.pid}


@dataclass(slots=True, eq=False)
class Bequest:
    """What a dead handler leaves to its poller, and to that poller's successor if the poller dies of the same storm."""

    child: Child
    notice: dict[str, Any]  #: the header of DIED
    told: Child | None = None  #: the poller that was told
    told_at: float = 0.0


@dataclass(slots=True, eq=False, kw_only=True)
class QueueSet:
    """The pollers, handlers, spares and template of one queue in one generation."""

    uid: int
    queue: QueueSettings
    settings: Settings
    generation: int
    started_at: float
    wanted: int  #: handlers in places; spares come on top
    preload: bool = False  #: its handlers are forked by a template
    state: SetState = SetState.STARTING
    reason: str = ""  #: why it gave up, or cannot start
    pollers: dict[int, Child] = field(default_factory=dict)  #: living ones by number
    handlers: dict[int, Child] = field(default_factory=dict)  #: living ones by uid
    template: Child | None = None  #: the living one
    bequests: list[Bequest] = field(default_factory=list)
    resolved: Any = None  #: what its first poller found out about the queue, for its successors
    restarts: dict[Role, Restarts] = field(default_factory=lambda: dict.fromkeys(Role, Restarts()))
    booted: set[Role] = field(default_factory=set)  #: the kinds of which one has been READY
    polled: set[int] = field(default_factory=set)  #: numbers whose poller has been READY, and may have received
    unconfirmed: dict[int, int] = field(default_factory=dict)  #: by number: what DRAINED said
    replaced: Counter[tuple[Role, int]] = field(default_factory=Counter)  #: deaths by kind and number
    recycle_at: float = 0.0  #: when its handlers are looked at next
    budget: Budget | None = None  #: set once it drains

    def children(self) -> list[Child]:
        """Every living process of it."""
        return [*self.pollers.values(), *self.handlers.values(), *([self.template] if self.template else [])]

    def poller_number(self, handler: Child) -> int:
        """The number of the poller that a handler belongs to."""
        return handler.number % self.queue.pollers

    def poller_of(self, handler: Child) -> Child | None:
        """The living poller that a handler belongs to."""
        return self.pollers.get(self.poller_number(handler))

    def in_phase(self, *phases: Phase) -> list[Child]:
        """The living handlers in these phases, oldest first."""
        return [handler for handler in self.handlers.values() if handler.phase in phases]

    def unborn(self) -> list[Child]:
        """The handlers that a template was asked for and has not named yet, oldest first."""
        return [handler for handler in self.handlers.values() if not handler.pid]

    def ready(self, role: Role) -> int:
        """How many of a kind are alive and have been READY; for a template the handlers: while they work, all does."""
        children = self.pollers if role is Role.POLLER else self.handlers
        return sum(1 for child in children.values() if child.ready_at)
