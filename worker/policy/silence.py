"""Pure rules: what it means that long polls bring nothing: an empty queue, or one at its limit of messages in flight.

At that limit SQS answers a short poll with OverLimit, but a long poll just with no messages: the pool looks idle. Only
the queue's depth tells the two apart. It is asked for rarely: an idle poller is to cost no more than its long polls.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
"""

from __future__ import annotations

from worker.policy.failures import Failure, FailureKind

#: Seconds of nothing but empty receives before the first look; each further look is twice as long after, up to the
#: second. While the queue is full, the first again.
FIRST, MOST = 120.0, 3600.0
#: Messages of one queue that SQS lets be in flight, on standard and FIFO queues alike; on request AWS allows more.
IN_FLIGHT = 120_000
#: The part of it that counts as reached: SQS's numbers are approximate.
REACHED = 0.9


class Silence:
    """Of one poller: since when its receives have been empty, and when to look at the queue's depth."""

    def __init__(self, *, limit: int = IN_FLIGHT) -> None:
        self._limit = limit
        self._pause = FIRST
        self.due = float("inf")  #: when to look next
        self.full = False  #: the last look found the limit reached

    def came(self, count: int, *, now: float) -> None:
        """A receive brought `count` messages."""
        if count:
            self.due, self._pause, self.full = float("inf"), FIRST, False
        elif self.due == float("inf"):
            self.due = now + self._pause

    def looked(self, *, waiting: int, in_flight: int, now: float) -> Failure | None:
        """What a look found: messages that wait, and those in flight. Gives what is wrong, if the limit is reached."""
        self.full = waiting > 0 and in_flight >= REACHED * self._limit
        self._pause = FIRST if self.full else min(MOST, 2 * self._pause)
        self.due = now + self._pause
        if not self.full:
            return None
        text = f"{in_flight:,} messages are in flight and {waiting:,} wait, but long polls bring none"
        return Failure(FailureKind.CAPACITY, "InFlightLimit", text)

    def unknown(self, *, now: float) -> None:
        """A look failed, or may not be made: nothing is known, and it is no matter of urgency."""
        self._pause = MOST
        self.due = now + MOST
