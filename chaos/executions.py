"""Pure rules: what the effects say: who ran which message from when to when, and what each process ran last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from chaos.logs import Fault, Step

#: Nanoseconds after "eat" in which the kernel ends the eater.
_MEAL = 10_000_000_000
#: Within which a function is over: `handler_timeout` is 14 s.
_LONGEST = 60_000_000_000


@dataclass(slots=True, eq=False)
class Execution:
    """One start of the handler function; times in nanoseconds."""

    id: int
    message_id: str
    pid: int
    start: int
    effect: int = 0  #: when it had its effect, 0: never
    over: int = 0  #: when it ended at the latest, 0: unknown
    final: bool = False  #: its process ran nothing after it

    @property
    def until(self) -> int:
        """Until when it ran, as far as anybody knows."""
        return self.effect or self.over or self.start


@dataclass(slots=True)
class Executions:
    """All of them by their start, and what follows at once."""

    all: list[Execution] = field(default_factory=list)
    newcomers: list[Execution] = field(default_factory=list)  #: the first one of each process
    meals: list[Fault] = field(default_factory=list)  #: processes that took memory until they were killed

    def by_id(self) -> dict[int, list[Execution]]:
        """The executions of each message, by their start."""
        found: dict[int, list[Execution]] = {}
        for one in self.all:
            found.setdefault(one.id, []).append(one)
        return found


def read(steps: Iterable[Step], faults: Sequence[Fault]) -> Executions:
    """Put the steps together. What a process left unfinished was over when a fault hit it, or when it went on."""
    found = Executions()
    running: dict[int, Execution] = {}
    for step in steps:
        before = running.get(step.pid)
        if step.step == "boot":
            # Whoever had this number is dead, at the latest now.
            if before is not None:
                before.final, before.over = True, step.ns
                del running[step.pid]
        elif step.step == "start":
            one = running[step.pid] = Execution(step.id, step.message_id, step.pid, step.ns)
            found.all.append(one)
            if before is not None:
                before.over = step.ns
            else:
                found.newcomers.append(one)
        elif step.step == "eat":
            found.meals.append(Fault("memory", "handler", step.pid, step.ns, step.ns + _MEAL))
        elif before is not None and before.id == step.id:
            before.effect = step.ns
    hits = by_pid((*faults, *found.meals))
    for one in running.values():
        one.final = True
    for one in found.all:
        if one.final and not one.effect:
            one.over = _end(one, hits.get(one.pid, ()))
    found.all.sort(key=lambda one: one.start)
    found.newcomers.sort(key=lambda one: one.start)
    return found


def _end(one: Execution, hits: Iterable[Fault]) -> int:
    """When an execution that was never finished ran for certain no more: from a stop on nobody knows."""
    # What comes much later hit another process of that number, which may have died before its first word.
    until = min(one.over or one.start + _LONGEST, one.start + _LONGEST)
    later = [hit for hit in hits if hit.end >= one.start and hit.begin <= until]
    deaths = [hit for hit in later if hit.kind == "kill"]
    return min((max(one.start, hit.begin) for hit in deaths or later), default=0)


def by_pid(faults: Iterable[Fault]) -> dict[int, list[Fault]]:
    """The faults that hit each handler process. A poller may get the number of one that is dead: that is not it."""
    found: dict[int, list[Fault]] = {}
    for fault in faults:
        own = (fault.pid,) if fault.role == "handler" else ()
        for pid in (*own, *fault.victims):
            found.setdefault(pid, []).append(fault)
    return found
