"""Pure rules: when a handler process has served long enough. Memory that user code leaks goes with its process."""

from __future__ import annotations

from dataclasses import dataclass

from worker.settings import RecycleSettings

#: Of each limit, the part that differs between processes, so that those started together do not go together.
JITTER = 0.1
#: Looks in a row that must find too much memory: one large message is no leak.
SAMPLES = 3


@dataclass(slots=True)
class Wear:
    """What is known of one process between looks."""

    share: float  #: of the jitter, drawn once: 0 to 1
    over: int = 0  #: looks in a row that found too much memory


def worn(wear: Wear, limits: RecycleSettings, *, done: int, age: float, resident: int) -> str:
    """Why a handler is to be replaced, or "". `done` messages, `age` seconds, `resident` bytes; limit 0: none."""
    less = 1.0 - JITTER * wear.share
    wear.over = wear.over + 1 if limits.max_rss and resident > limits.max_rss else 0
    if limits.max_messages and done >= limits.max_messages * less:
        return f"{done} messages"
    if limits.max_age and age >= limits.max_age * less:
        return f"{age:.0f} seconds"
    if wear.over >= SAMPLES:
        return f"{resident // 2**20} MiB"
    return ""
