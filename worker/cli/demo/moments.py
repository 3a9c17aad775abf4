"""Command line: what `worker demo` sees at one moment, and how fast it goes. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Seconds over which the rate is taken.
_WINDOW = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One look at the pool and at the broker."""

    seconds: float  #: since the pool was started
    sent: int  #: by us, and on by handlers
    status: Mapping[str, Any] | None = None  #: the pool's answer, None as long as it starts
    counters: Mapping[str, int] = field(default_factory=dict)  #: the pool's, over all queues
    depths: Mapping[str, int] = field(default_factory=dict)  #: messages in each queue, hidden and delayed ones too
    finished: int = 0  #: messages that are in no source queue any more
    buried: int = 0  #: messages in dead-letter queues that nothing takes from
    rate: float = 0.0  #: messages finished a second, lately


class Meter:
    """The rate of a count over the last seconds."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int]] = deque()

    def rate(self, now: float, count: int) -> float:
        """Note the count; its growth a second, 0.0 for the first."""
        self._marks.append((now, count))
        while len(self._marks) > 2 and self._marks[1][0] <= now - _WINDOW:
            self._marks.popleft()
        began, first = self._marks[0]
        return (count - first) / (now - began) if now > began else 0.0
