"""Pure rules: one delivery, from its receive to its confirmed settlement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from worker.message import Kind


@dataclass(frozen=True, slots=True)
class Received:
    """A message as a receive brought it."""

    message_id: str
    receipt: str
    body: bytes
    attributes: Mapping[str, str]
    message_attributes: Mapping[str, Mapping[str, str]]  #: as SQS's JSON has them: BinaryValue is base64
    intact: bool = True  #: there is a body, and its MD5 is the one SQS names

    @property
    def group(self) -> str:
        """MessageGroupId, or nothing."""
        return self.attributes.get("MessageGroupId", "")


class State(IntEnum):
    """Where a delivery is. All but the last keep their lease."""

    READY = 1  #: in the ready line, or behind another of its group
    WAITING = 2  #: will be ready again after a backoff, in the pool
    DISPATCHED = 3  #: given to a handler
    SETTLING = 4  #: its outcome is known, its settlement not confirmed
    PARKED = 5  #: a second delivery of a message that is held already
    GONE = 6  #: not in the ledger any more


class Action(IntEnum):
    """How a settlement becomes true in SQS."""

    DELETE = 1
    HIDE = 2  #: change the visibility: a retry, or a release with 0
    SEND = 3  #: to a dead-letter queue or a forward's; a DELETE follows once it is confirmed


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is to become true in SQS for one delivery."""

    action: Action
    kind: Kind
    seconds: float = 0.0  #: HIDE
    queue: str = ""  #: SEND: URL or name
    body: bytes = b""
    attributes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    group_id: str | None = None
    deduplication_id: str | None = None
    delay: int | None = None
    repeated: bool = False  #: DELETE of a redelivery that was done before


class Delivery:
    """One record of the ledger. Plain slots: it is made and dropped for every message."""

    __slots__ = (
        "attempts",
        "beat_due",
        "calling",
        "crashes",
        "earlier",
        "group",
        "handler",
        "lease_end",
        "lost",
        "message",
        "message_id",
        "parked",
        "place",
        "queued",
        "receipt",
        "received_at",
        "seq",
        "settlement",
        "size",
        "state",
        "suspect",
        "told",
        "tries",
        "visible_at",
    )

    def __init__(self, seq: int, message_id: str, *, receipt: str, group: str, received_at: float) -> None:
        self.seq = seq
        self.message_id = message_id
        self.receipt = receipt
        self.group = group
        self.received_at = received_at  #: when the receive was sent: SQS counts from no earlier
        self.message: Received | None = None  #: None in a successor: the body died with the old poller
        self.size = 0
        self.place = -1  #: in the lease table
        self.lease_end = 0.0
        self.beat_due = 0.0
        self.state = State.READY
        self.handler = 0
        self.attempts = 0  #: starts of a handler function that we know of
        self.crashes = 0  #: handler processes that died running this message alone
        self.suspect = False  #: a handler died while running it: it runs alone
        self.settlement: Settlement | None = None
        self.tries = 0  #: failed tries of its settlement
        self.visible_at = float("inf")  #: when a release that SQS may have made without our knowing is over
        self.queued = False  #: its settlement stands in a queue of the ledger
        self.calling = False  #: a call with its receipt is on its way: never two
        self.lost = False  #: the lease ran out
        self.told = False  #: the outcome must be confirmed to the handler
        self.parked: list[Delivery] | None = None
        self.earlier = False  #: PARKED: it came before the first one's settlement was sent

    def over(self, now: float) -> bool:
        """Whether somebody else may have the message: no call may be made with its receipt that a queue could obey."""
        return now >= self.lease_end or now >= self.visible_at

    def __repr__(self) -> str:
        return f"<{self.state.name} {self.seq} {self.message_id}{' lost' if self.lost else ''}>"
