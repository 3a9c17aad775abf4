"""Pure rules: when a child that died is started again, and when its queue gives up.

A death that followed READY says nothing about the next start, so its successor starts at once. Only starts that led to
no READY count: each doubles the wait, and too many in a row, with nobody left who is ready, end the queue.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from worker.policy.backoff import half_jitter

#: Seconds before the next start: doubled from the first, half jitter, at most the second.
FIRST, MOST = 0.1, 30.0
#: Waves of starts in a row, none of which led to a READY, after which a queue gives up: about 40 s of waiting, and ten
#: boots of the application.
LIMIT = 10


@dataclass(frozen=True, slots=True)
class Restarts:
    """What the starts of one kind of child of one queue have led to since the last READY."""

    failures: int = 0  #: starts in a row that led to nothing; a process that could not even be made is one too
    deaths: int = 0  #: of these, the deaths before READY; only they count for the limit
    failed_at: float = float("-inf")  #: when the last of them was counted
    retry_at: float = float("-inf")  #: no start before


def died_early(history: Restarts, *, started_at: float, now: float, chance: float) -> Restarts:
    """A child died before READY. Children that were started together and die together are one failure, not many."""
    if started_at <= history.failed_at:
        return history
    return replace(_failed(history, now=now, chance=chance), deaths=history.deaths + 1)


def not_started(history: Restarts, *, now: float, chance: float) -> Restarts:
    """The system had no process, memory or descriptor to give: tried again for ever, it is not the queue's fault."""
    return _failed(history, now=now, chance=chance)


def hopeless(history: Restarts, *, others_ready: int) -> bool:
    """Whether the queue gives up. While one child of the kind is ready, the queue still works and goes on trying."""
    return history.deaths >= LIMIT and not others_ready


def _failed(history: Restarts, *, now: float, chance: float) -> Restarts:
    failures = history.failures + 1
    wait = half_jitter(failures, first=FIRST, most=MOST, chance=chance)
    return replace(history, failures=failures, failed_at=now, retry_at=now + wait)
