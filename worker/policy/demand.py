"""Pure rules: how many long polls are worth having on their way.

By Little's law, polls on their way = receives a second x seconds a receive takes. Nobody has to multiply it out: a
receive that comes back full and at once says that one more poll would bring more; one that is not half full says that
one less would bring the same.
"""

from __future__ import annotations

from worker.policy.backoff import RECEIVE_FIRST, RECEIVE_MOST, half_jitter
from worker.policy.failures import FailureKind

#: Tries after which these kinds are asked at the slowest pace only: nothing heals them within a second.
_SLOW = {FailureKind.CREDENTIALS, FailureKind.CLOCK, FailureKind.DENIED, FailureKind.KMS, FailureKind.QUEUE_GONE}
#: Weight of the newest round trip in their mean.
_WEIGHT = 0.1
#: Seconds for which the quickest receive is remembered at least, twice as long at most: a round trip may get longer.
_REMEMBERED = 5.0
#: One more for so many polls after a round trip of full receives; twice as many would overshoot, and swing.
_MORE = 4
#: Seconds beyond twice the quickest receive after which one has waited for messages; no way takes longer than _LONGEST.
_SLACK, _LONGEST = 0.010, 0.5


class Demand:
    """One scout while the queue is empty; a quarter more after a round trip of full receives; fewer as it empties."""

    def __init__(self, *, most: int, pause: float, slowest: float = RECEIVE_MOST) -> None:
        self._most = most
        self._slowest = slowest  #: seconds between two tries while receives fail, at most
        self._pause = pause  #: seconds between an empty long poll and the next
        self.wanted = 1
        self.quiet_until = 0.0  #: no receive before
        self.round_trip = 0.0  #: mean seconds of a receive that need not wait for messages; 0.0: none yet
        self._quickest = self._quickest_before = _LONGEST
        self._quickest_since = 0.0
        self._open = 0  #: on their way when polls() was last asked, with what it said
        self._grown_at = 0.0
        self._at_once = False  #: the last receive brought something without having waited for it
        self._failures = 0

    def came(self, count: int, *, asked: int, took: float, now: float) -> None:
        """A receive for `asked` messages brought `count` after `took` seconds."""
        self._failures = 0
        wanted = self.wanted
        self._at_once = count > 0 and not self._waited(took, now)
        if not count:
            self.quiet_until = max(self.quiet_until, now + self._pause)
            wanted //= 2
        elif count < asked / 2:
            wanted -= 1  # half is the margin: even of a deep queue SQS asks only some of its servers
        elif self._open < wanted // 2:
            wanted -= 1  # the line is full: more would only be open once the queue is empty
        elif count >= asked and self._at_once and self._open >= wanted and now - took >= self._grown_at:
            # One that was sent before the last growth does not show what that brought.
            wanted, self._grown_at = wanted + max(1, wanted // _MORE), now
        self.wanted = min(self._most, max(1, wanted))

    def _waited(self, took: float, now: float) -> bool:
        """Whether a receive took longer than the way there and back, which the quickest ones show."""
        if now - self._quickest_since > _REMEMBERED:
            self._quickest_before, self._quickest, self._quickest_since = self._quickest, _LONGEST, now
        self._quickest = min(self._quickest, took)
        if took > min(_LONGEST, 2.0 * min(self._quickest, self._quickest_before) + _SLACK):
            return True
        self.round_trip += (took - self.round_trip) * (_WEIGHT if self.round_trip else 1.0)
        return False

    def failed(self, kind: FailureKind, *, now: float, chance: float) -> None:
        """A receive failed. Only one is sent at a time until one succeeds."""
        self._failures += 4 if kind in _SLOW and self._failures < 4 else 1
        self.wanted = 1
        wait = half_jitter(self._failures, first=RECEIVE_FIRST, most=self._slowest, chance=chance)
        self.quiet_until = max(self.quiet_until, now + wait)

    @property
    def failing(self) -> bool:
        """Whether the last receive failed."""
        return self._failures > 0

    @property
    def most_wanted(self) -> bool:
        """Whether more would be wanted than there may be."""
        return self.wanted >= self._most and self._at_once

    def polls(self, *, on_their_way: int, room: int, count: int, now: float) -> int:
        """Receives to send now, each for `count` messages; the line has `room` beyond what is on its way."""
        if now < self.quiet_until or count <= 0:
            return 0
        more = max(0, min(self.wanted - on_their_way, -(-room // count)))
        self._open = on_their_way + more
        return more
