"""Pure rules: one message of a producer on its way, and what becomes of a batch of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from worker.policy.failures import Failure
from worker.policy.requests import Outgoing


@dataclass(slots=True, eq=False)
class Parcel:
    """Only the outbox changes what stands below `claimed`."""

    outgoing: Outgoing
    size: int  #: bytes as SQS counts them
    own_id: str = ""  #: FIFO: a deduplication id for all its tries, if the queue wants one and the caller gave none
    admitted_at: float = 0.0
    deadline: float = 0.0  #: till when it is tried
    ticket: object = None  #: what the asker gave along
    claimed: bool = False  #: sent at least once, so that the asker cannot cancel it any more
    number: int = 0
    tries: int = 0
    open: bool = False  #: on its way
    named: bool = False  #: sent under its own id
    alone: bool = False  #: in a batch with others it was refused: only alone does it show whose fault that is
    gone: bool = False  #: sent, or given up
    maybe_sent: bool = False  #: of one try nobody knows what became
    failure: Failure | None = None  #: the last one


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a batch; what is in neither list is tried again."""

    sent: list[tuple[Parcel, str]] = field(default_factory=list)  #: with their MessageIds
    failed: list[tuple[Parcel, Failure]] = field(default_factory=list)  #: for good
    withdrawn: list[Parcel] = field(default_factory=list)  #: cancelled before they were sent
