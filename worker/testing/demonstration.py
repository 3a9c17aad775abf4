"""Command line: what `worker demo NAME` must know about an application: its queues, environment and messages.

`apps/NAME/demonstration.py` defines `DEMONSTRATION`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DemonstrationQueue:
    """A queue to make before the application runs."""

    name: str
    dead_letter: str = ""  #: its dead-letter queue, made as well
    receives: int = 3  #: maxReceiveCount, if it has a dead-letter queue
    source: bool = True  #: the application takes from it, so it must be empty at the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """How an application is shown."""

    about: str  #: one sentence
    queues: tuple[DemonstrationQueue, ...]
    environment: Callable[[Mapping[str, str]], Mapping[str, str]]  #: from queue URLs by name to the pool's variables
    messages: Callable[[int], Iterable[tuple[str, str]]]  #: from their number to (queue name, body) of each
