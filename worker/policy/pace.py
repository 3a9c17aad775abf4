"""Pure rules: how fast a poller is, and what keeps it from being faster: its binding limit.

The receiver says at each of its steps why it does not ask for more; the limit is what was said for most of a second.
"""

from __future__ import annotations

from collections import defaultdict
from enum import StrEnum

#: Seconds of a look; a limit is named after one.
LOOK = 1.0
#: Cores that one poller can use, its interpreter being one: above this its own CPU is the limit, whatever else is said.
BUSY = 0.85
#: Seconds for which a limit must hold before the log names it, and before it is named once more.
HOLDS, AGAIN = 10.0, 600.0
#: Weight of the newest round trip in their mean.
_WEIGHT = 0.1


class Limit(StrEnum):
    """What would have to change for more messages a second."""

    NONE = ""  #: not known yet, or it is not to receive: paused, or drains
    QUEUE = "queue"  #: there are no more messages
    POLLS = "polls"  #: receives come back full, and there may be no more of them: polls x messages / round trip
    HANDLERS = "handlers"  #: the ready line is as full as it should be
    DELETES = "deletes"  #: settlements wait for calls
    BYTES = "bytes"  #: the ready line holds as many bytes as it may
    LEASES = "leases"  #: the lease table is full
    CPU = "cpu"  #: the poller uses a whole core
    ENDPOINT = "endpoint"  #: receives fail, and are held back


#: What an operator can do about each; nothing about the others.
ADVICE = {
    Limit.POLLS: "every long poll comes back full: raise polls, or pollers",
    Limit.HANDLERS: "the handlers are all busy and messages wait for them: raise handlers",
    Limit.DELETES: "settlements wait for calls that are slow or held back: see the round trip; raise pollers",
    Limit.BYTES: "large bodies fill the ready line: raise ready_bytes if there is memory for it",
    Limit.LEASES: "the poller holds as many messages as it can: raise pollers",
    Limit.CPU: "the poller uses a whole core: set pollers to one more",
}


class Pace:
    """One poller's: told by its actors, judged each second, shown in its slot."""

    def __init__(self) -> None:
        self.limit = Limit.NONE
        self.per_second = 0.0  #: messages settled by a delete
        self.cpu = 0.0  #: cores that the poller used
        self.receive_trip = 0.0  #: mean seconds of a receive that need not wait for messages; 0.0: none yet
        self.settle_trip = 0.0  #: mean seconds of a delete, change of visibility or send; 0.0: none yet
        self._bound = Limit.NONE
        self._bound_at: float | None = None
        self._seconds: defaultdict[Limit, float] = defaultdict(float)
        self._looked_at: float | None = None
        self._done = 0
        self._cpu = 0.0
        self._since = 0.0  #: when the limit became what it is
        self._told: dict[Limit, float] = {}

    def bound(self, limit: Limit, now: float) -> None:
        """From now on, this is why the receiver does not ask for more."""
        if self._bound_at is not None:
            self._seconds[self._bound] += now - self._bound_at
        self._bound, self._bound_at = limit, now

    def settled(self, took: float) -> None:
        """A settlement call was answered after `took` seconds."""
        self.settle_trip += (took - self.settle_trip) * (_WEIGHT if self.settle_trip else 1.0)

    def look_due(self, now: float) -> bool:
        """Whether judge() is to be called."""
        return self._looked_at is None or now - self._looked_at >= LOOK

    def judge(self, now: float, *, done: int, cpu: float) -> bool:
        """Look at the time since the last look; True if the limit is worth a line in the log.

        `done` and `cpu` are sums since the process began: messages deleted, and seconds of CPU.
        """
        last, self._looked_at = self._looked_at, now
        done, self._done = done - self._done, done
        cpu, self._cpu = cpu - self._cpu, cpu
        if last is None or now <= last:
            return False
        self.per_second, self.cpu = done / (now - last), cpu / (now - last)
        self.bound(self._bound, now)
        limit = Limit.CPU if self.cpu >= BUSY else max(self._seconds, key=lambda one: self._seconds[one])
        self._seconds.clear()
        if limit is not self.limit:
            self.limit, self._since = limit, last
        return self._worth_telling(now)

    def _worth_telling(self, now: float) -> bool:
        told = self._told.get(self.limit)
        if self.limit not in ADVICE or now - self._since < HOLDS or (told is not None and now - told < AGAIN):
            return False
        self._told[self.limit] = now
        return True
