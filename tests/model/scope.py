"""Test process: what one search looks at: how many messages and handlers, which faults, how many of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from worker.message import Kind

#: The faults, each with what it stands for.
FAULTS = {
    "receive lost": "the response of a long poll never arrives",
    "response late": "it arrives when its leases are over: the poller was stopped in between",
    "lapse": "no beat of a lease gets through",
    "second delivery": "SQS makes a message visible though we hold it",
    "entry again": "one entry of a batch fails for now; nothing happened, or its answer was lost",
    "entry final": "SQS refuses one entry for good",
    "request fails": "a whole request fails, before or after it took effect",
    "beat fails": "a beat fails for now",
    "retry": "a handler function raises",
    "reject": "a handler function rejects the message",
    "forward": "a handler function forwards it, which is none; its faults come with others",
    "handler killed": "SIGKILL of a handler: before the effect, after it, or with its outcome in the ring only",
    "poller killed": "SIGKILL of the poller; its successor adopts",
}


@dataclass(frozen=True, kw_only=True)
class Scope:
    """One search's world."""

    fifo: bool = False
    groups: tuple[str, ...] = ("a", "a")  #: one message each, in the order in which they were sent
    handlers: int = 2
    credit: int = 1  #: messages a handler may hold
    faults: int = 1  #: the budget
    kinds: frozenset[str] = frozenset(FAULTS) - {"forward"}  #: of faults
    drains: bool = True  #: a drain may begin at any time
    beats: bool = False  #: beats on their way are states of their own; else a lease lasts till a fault ends it
    dead_letter: bool = True  #: the queue has one
    attempts: int = 5  #: FIFO: a retry at this attempt is a reject
    redrive: int = 0  #: maxReceiveCount of the queue, 0: none, and receives are not counted
    polls: int = 1  #: long polls on their way
    ghosts: bool = False  #: SQS answers the long poll of a dead poller all the same
    #: What a process of the pool can do it does at once; only SQS, its answers, handler functions and faults take time.
    prompt: bool = False

    def covers(self, other: Scope) -> bool:
        """Whether every world of the other is one of this too: it has no more faults, kinds of them, and drains."""
        like = replace(other, faults=self.faults, kinds=self.kinds, drains=self.drains)
        return (
            like == self and other.faults <= self.faults and other.kinds <= self.kinds and other.drains <= self.drains
        )

    @property
    def messages(self) -> range:
        """The messages, by their place in the queue."""
        return range(len(self.groups))

    def outcomes(self) -> list[Kind]:
        """What a handler function may come to, beside an ack."""
        named = (("retry", Kind.RETRY), ("reject", Kind.REJECT), ("forward", Kind.FORWARD))
        return [kind for name, kind in named if name in self.kinds]
