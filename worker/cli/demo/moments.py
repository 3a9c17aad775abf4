"""Command line: what `worker demo` sees at one moment, and how fast it goes. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Seconds over which the rate is taken.
_WINDOW = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One look at the pool and at the broker."""

    seconds: float  #: since the pool was started
    sent: int
    status: Mapping[str, Any] | None  #: the pool's answer, None as long as it starts
    counters: Mapping[str, int]
    depths: Mapping[str, int]  #: messages in each queue, hidden and delayed ones included
    buried: int  #: messages in dead-letter queues that nothing takes from
    rate: float  #: messages settled for good, a second

    @property
    def finished(self) -> int:
        """Messages that were handled, or ended in a dead-letter queue."""
        return self.counters.get("deleted", 0) + self.buried


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
