"""Pure rules: how many long polls are worth having on their way."""

from __future__ import annotations

from worker.policy.backoff import RECEIVE_FIRST, RECEIVE_MOST, half_jitter
from worker.policy.failures import FailureKind

#: Tries after which these kinds are asked at the slowest pace only: nothing heals them within a second.
_SLOW = {FailureKind.CREDENTIALS, FailureKind.CLOCK, FailureKind.DENIED, FailureKind.KMS, FailureKind.QUEUE_GONE}


class Demand:
    """One scout while the queue is empty; doubled by each full receive, halved by each empty one."""

    def __init__(self, *, most: int, pause: float, slowest: float = RECEIVE_MOST) -> None:
        self._most = most
        self._slowest = slowest  #: seconds between two tries while receives fail, at most
        self._pause = pause  #: seconds between an empty long poll and the next
        self.wanted = 1
        self.quiet_until = 0.0  #: no receive before
        self._failures = 0

    def came(self, count: int, *, asked: int, now: float) -> None:
        """A receive that asked for `asked` messages brought `count`."""
        self._failures = 0
        if count == 0:
            self.wanted = max(1, self.wanted // 2)
            self.quiet_until = max(self.quiet_until, now + self._pause)
        elif count >= asked:
            self.wanted = min(self._most, self.wanted * 2)

    def failed(self, kind: FailureKind, *, now: float, chance: float) -> None:
        """A receive failed. Only one is sent at a time until one succeeds."""
        self._failures += 4 if kind in _SLOW and self._failures < 4 else 1
        self.wanted = 1
        wait = half_jitter(self._failures, first=RECEIVE_FIRST, most=self._slowest, chance=chance)
        self.quiet_until = max(self.quiet_until, now + wait)

    def polls(self, *, on_their_way: int, room: int, count: int, now: float) -> int:
        """Receives to send now, each for `count` messages; the line has `room` beyond what is on its way."""
        if now < self.quiet_until or count <= 0:
            return 0
        return max(0, min(self.wanted - on_their_way, -(-room // count)))
