"""Pure rules: whether a queue is empty, for a pool that ends when all of its queues are (`worker run --until-empty`).

No single answer of SQS says so. A receive that brings nothing says nothing of what is hidden, in flight or delayed. The
numbers of GetQueueAttributes are approximate, and may be behind for a minute after the last send. So it takes several
receives in a row, and two looks some time apart that find nothing visible, in flight or delayed; and nothing that this
poller holds, or has hidden itself: that it knows for certain.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
"""

from __future__ import annotations

from collections import deque

from worker.policy.requests import Depth

#: Receives in a row that have to bring nothing, and how many where looks are denied; those that were sent within so
#: many seconds count as one, as short polls come.
RECEIVES, ALONE, SPACING = 3, 10, 0.5
#: Seconds between two looks.
APART = 5.0
#: What is waited for, for people; the names stand in telemetry.AWAITED.
MEANING = {
    "held": "messages that were received are not settled yet",
    "hidden": "messages of ours are hidden after a retry, and come back",
    "visible": "the queue has messages that receives do not bring",
    "in_flight": "messages are in flight at another consumer, or hidden",
    "delayed": "messages are delayed",
    "endpoint": "the queue cannot be reached, so it cannot be said to be empty",
    "receives": "receives bring nothing; a few more, and two looks at the queue's numbers, have to say the same",
}


class Evidence:
    """Of one poller. Whatever it holds or hides starts all over."""

    def __init__(self) -> None:
        self.busy_until = 0.0  #: when it last held a message, or when the last that it has hidden comes back
        self.since = 0.0  #: the queue has been empty since, by all that is asked for; 0: it is not known to be
        self.denied = False  #: looks are not allowed: receives alone have to tell
        self._held = False
        self._failing = False
        self._empties: deque[float] = deque(maxlen=ALONE)  # when those receives were sent
        self._zeros: deque[float] = deque(maxlen=2)  # when the last looks were sent, that found nothing
        self._look_at = 0.0
        self.depth: Depth | None = None  #: what the last look found

    def holds(self, count: int, *, now: float) -> None:
        """This poller holds so many messages."""
        self._held = count > 0
        if count:
            self.busy(now)

    def busy(self, until: float) -> None:
        """Before that nothing counts."""
        if until > self.busy_until:
            self.busy_until = until
            self._start_over()

    def received(self, count: int, *, sent_at: float, now: float) -> None:
        """A receive that was sent then has brought so many messages."""
        self._failing = False
        if count:
            self.busy(now)
        elif sent_at > self.busy_until and (not self._empties or sent_at >= self._empties[-1] + SPACING):
            self._empties.append(sent_at)
        self._judge()

    def failed(self) -> None:
        """A receive failed: a queue that cannot be reached is not empty."""
        self._failing = True
        self._start_over()

    def look_due(self) -> float:
        """When to look at the queue's numbers; infinity: not before a receive has brought nothing."""
        return float("inf") if self.denied or not self._empties else self._look_at

    def looked(self, depth: Depth, *, sent_at: float, now: float) -> None:
        """What a look found that was sent then."""
        self._look_at, self.depth = now + APART, depth
        if any(depth):
            self._zeros.clear()
        elif sent_at > self.busy_until:
            self._zeros.append(sent_at)
        self._judge()

    def unknown(self, *, denied: bool, now: float) -> None:
        """A look failed; `denied`: every further one will."""
        self._look_at, self.denied = now + APART, denied
        self._zeros.clear()
        self._judge()

    def awaits(self, now: float) -> str:
        """What keeps the queue from being known as empty, a name of MEANING; "": nothing does."""
        if self._held:
            return "held"
        if now < self.busy_until:
            return "hidden"
        if self._failing:
            return "endpoint"
        if self.depth is not None and any(self.depth):
            return next(name for name, count in zip(Depth._fields, self.depth, strict=True) if count)
        return "" if self.since else "receives"

    def _judge(self) -> None:
        """`since` is when the oldest of the evidence was asked for: what came later than that is not in it."""
        if self.denied:
            self.since = self._empties[0] if len(self._empties) == ALONE else 0.0
        else:
            enough = len(self._empties) >= RECEIVES and len(self._zeros) == 2
            self.since = min(self._zeros[0], self._empties[-RECEIVES]) if enough else 0.0

    def _start_over(self) -> None:
        self._empties.clear()
        self._zeros.clear()
        self.depth = None
        self.since = 0.0
