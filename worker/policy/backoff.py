"""Pure rules: how long to wait after a failure."""

from __future__ import annotations

import math

#: Seconds before a failed settlement is tried again: doubled from the first, full jitter, at most the second.
SETTLE_FIRST, SETTLE_MOST = 0.1, 5.0
#: Seconds before a producer tries again what it could not send: likewise, at least half.
SEND_FIRST, SEND_MOST = 0.1, 5.0
#: Seconds before a receive is tried again after a failed one.
RECEIVE_FIRST, RECEIVE_MOST = 0.2, 20.0
#: Seconds after the endpoint healed within which receives are back at full rate; and how much longer than its wait a
#: receive may hang before it is given up: one that hangs while the endpoint heals is followed by one more backoff.
HEALED, HANGS = 30.0, 8.0

#: Seconds for which is hidden what comes while its group is being released, doubled by each receive. Shown at once, it
#: would come again before the rest is confirmed, be given back, and so on, till its receive count is used up.
CLOSING = 1.0


def full_jitter(tries: int, *, first: float, most: float, chance: float) -> float:
    """Seconds to wait after the `tries`-th failure in a row (1, 2, ...), spread evenly from 0 to the doubled bound."""
    return chance * min(most, first * 2.0 ** min(tries - 1, 60))


def half_jitter(tries: int, *, first: float, most: float, chance: float) -> float:
    """As full_jitter, but at least half of the bound: for calls to an endpoint that needs rest."""
    bound = min(most, first * 2.0 ** min(tries - 1, 60))
    return bound * (0.5 + chance / 2)


def till_closed(attempts: int) -> float:
    """Seconds to hide what came while its group is being released, after so many attempts."""
    return CLOSING * 2.0 ** min(attempts, 6)


def receive_most(wait: float) -> float:
    """Seconds, at most, before a failed receive is tried again, where a receive waits for `wait` seconds."""
    return min(RECEIVE_MOST, max(2.0, HEALED - HANGS - wait))


def visibility(seconds: float) -> int:
    """Whole seconds for SQS, which knows no others: rounded up, so that a message never comes back too early."""
    return min(43_200, max(0, math.ceil(seconds)))
