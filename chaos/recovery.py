"""Pure rules: how long a SIGKILL was felt: from it until a new handler runs a message, or a new poller asks for some.

Both are seen from outside: the first message that a process never heard of runs, the first receive on a connection
that was opened after the kill.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from chaos.executions import Executions
from chaos.logs import Fault, Poll

_SECOND = 1e9
#: Seconds before a kill in which another fault makes it no kill of its own: the spare that would step in still boots.
_APART = 1.0
#: Share of the cores' time from which on the machine counts as contended.
_FULL = 0.9


@dataclass(frozen=True, slots=True)
class Recovery:
    """One kill that was made good."""

    role: str
    seconds: float
    alone: bool  #: no other fault within a second before it, or until it was made good
    contended: bool  #: the cores were at least 90 % busy meanwhile


@dataclass(frozen=True, slots=True)
class Load:
    """How busy the cores were in the tenth of a second that ended at `ns`, 0 to 1."""

    ns: int
    busy: float


def recoveries(
    executions: Executions, polls: Sequence[Poll], faults: Sequence[Fault], loads: Sequence[Load]
) -> list[Recovery]:
    """Every kill of a handler that had run something, and of a poller, that was made good."""
    begun = {one.pid: one.start for one in reversed(executions.newcomers)}
    pairs = [*_handlers(executions, faults, begun), *_pollers(polls, faults)]
    moments = [load.ns for load in loads]
    found = []
    for kill, back in pairs:
        early = kill.begin - int(_APART * _SECOND)
        others = [one for one in faults if one is not kill and one.begin <= back and one.end >= early]
        contended = _busy(moments, loads, kill.begin, back) >= _FULL
        found.append(Recovery(kill.role, (back - kill.begin) / _SECOND, not others, contended))
    return found


def _handlers(executions: Executions, faults: Sequence[Fault], begun: dict[int, int]) -> list[tuple[Fault, int]]:
    """The first newcomer makes good the first kill that still waits. Where all die at once, nothing waits any more."""
    pairs: list[tuple[Fault, int]] = []
    waiting: deque[Fault] = deque()
    events = [(one.start, 1, None) for one in executions.newcomers]
    kills = [one for one in faults if one.kind == "kill"]
    merged = sorted([*((one.begin, 0, one) for one in kills), *events], key=lambda event: event[:2])
    for moment, _, kill in merged:
        if kill is None:
            if waiting:
                pairs.append((waiting.popleft(), moment))
        elif kill.role in ("supervisor", "tree"):
            waiting.clear()
        elif kill.role == "handler" and begun.get(kill.pid, moment) < moment:
            waiting.append(kill)
    return pairs


def _pollers(polls: Sequence[Poll], faults: Sequence[Fault]) -> list[tuple[Fault, int]]:
    """A connection of the dead poller is older than its death; a later one is its successor's."""
    pairs = []
    for kill in faults:
        if kill.kind == "kill" and kill.role == "poller":
            back = min((one.received for one in polls if one.accepted > kill.begin), default=0)
            if back:
                pairs.append((kill, back))
    return pairs


def _busy(moments: Sequence[int], loads: Sequence[Load], begin: int, end: int) -> float:
    first, last = bisect_left(moments, begin), bisect_left(moments, end)
    window = loads[first : last + 1]
    return sum(load.busy for load in window) / len(window) if window else 0.0


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest rank; 0.0 of nothing."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0
