"""Pure rules: idempotency: what the record of a key means to whoever wants to run for it, and how long things last.

A record is absent, *in progress* (an owner, until) or *done* (a result, expires). Stores change it by conditional
writes only; what a refused write means is decided here, once for all stores. Times are seconds since 1970: records are
shared between machines, which have no other clock in common.
"""

from __future__ import annotations

from dataclasses import dataclass

#: The two states, as stores write them.
IN_PROGRESS, DONE = "in-progress", "done"
#: Seconds from the end of a function's time to the end of its key's lease: a second after SoftTimeout its process is
#: killed, which takes a moment on a busy machine, and the clocks of two machines differ a little.
GRACE = 5.0
#: Seconds that a function without a deadline (outside of a pool) may take: the default of `handler_timeout`.
_WITHOUT_DEADLINE = 300.0
#: Seconds that a busy key is waited for at least, and beyond the end of its lease: then it is over by any clock.
_BEHIND = 1.0
#: SQS hides a message for 12 hours at most.
_LONGEST = 43_200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a store keeps for a key."""

    state: str  #: IN_PROGRESS or DONE
    owner: str  #: the attempt that made it so
    until: float = 0.0  #: of IN_PROGRESS: the end of the lease
    result: str | None = None  #: of DONE: JSON; None for a function that returned None
    expires: float = 0.0  #: when it means nothing any more, and may be deleted


@dataclass(frozen=True, slots=True)
class Taken:
    """The key is the asker's: run."""


@dataclass(frozen=True, slots=True)
class Busy:
    """Somebody else runs for it, or died while it ran."""

    owner: str
    until: float


@dataclass(frozen=True, slots=True)
class Done:
    """It was run to its end."""

    result: str | None


Standing = Taken | Busy | Done


class StoreFailed(Exception):
    """The store did not answer, or refused; what was asked for may have happened or not. The text says what to do."""


class KeyLost(Exception):
    """The attempt's lease on its key was over, and somebody else has it: what the function did may happen twice."""


class TransactionRefused(Exception):
    """A condition of the function's own items was not met, so nothing was written, the mark neither."""

    def __init__(self, codes: list[str], text: str = "") -> None:
        super().__init__(text or f"the transaction was refused: {', '.join(codes)}")
        #: For each item of the function, in its order: "None", "ConditionalCheckFailed", or what DynamoDB says.
        self.codes = codes


def free(record: Record | None, *, now: float) -> bool:
    """Whether anybody may take the key. Stores delete late what has expired, so that is judged here."""
    if record is None:
        return True
    return (record.until if record.state == IN_PROGRESS else record.expires) <= now


def standing(record: Record, *, owner: str) -> Standing:
    """What a record that was not free means to `owner`. One of its own is an earlier try whose answer was lost."""
    if record.state == DONE:
        return Done(record.result)
    return Taken() if record.owner == owner else Busy(record.owner, record.until)


def marked(record: Record | None, *, owner: str) -> bool:
    """Whether a mark that was refused had been made before, by a try whose answer was lost."""
    return record is not None and record.state == DONE and record.owner == owner


def seconds_to_run(remaining: float, lease: float | None) -> float:
    """How long a function may take: what its message has left, or its lease if that is shorter."""
    left = _WITHOUT_DEADLINE if remaining == float("inf") else remaining
    return left if lease is None else min(left, lease)


def seconds_to_wait(until: float, *, now: float, hidden: float) -> float:
    """How long a message whose key is busy is hidden: all that is left of the lease, so that it costs one receive.

    `hidden` is how long SQS will hide it yet, of the 12 hours from its receive.
    """
    return max(_BEHIND, min(until - now + _BEHIND, hidden, _LONGEST))
