"""What the policy tests are built from: messages, a ledger, and a lease table that is a dict."""

from __future__ import annotations

from collections.abc import Sequence

from worker.policy import arrivals, outcomes
from worker.policy.delivery import Delivery, Received
from worker.policy.ledger import Ledger
from worker.policy.rules import Rules
from worker.settings import RetrySettings

VISIBILITY = 30.0


class DictTable:
    """A lease table in memory: place to its last written state."""

    def __init__(self, capacity: int = 1000) -> None:
        self.capacity = capacity
        self.records: dict[int, dict[str, object]] = {}
        self._next = 0

    @property
    def free(self) -> int:
        return self.capacity - len(self.records)

    def add(self, **fields: object) -> int:
        if not self.free:
            raise IndexError("the table is full")
        self._next += 1
        self.records[self._next] = {**fields, "state": "ready"}
        return self._next

    def dispatch(self, place: int, handler: int) -> None:
        self.records[place] |= {"state": "dispatched", "handler": handler}

    def ready(self, place: int, *, attempts: int, crashes: int) -> None:
        self.records[place] |= {"state": "ready", "attempts": attempts, "crashes": crashes}

    def settle(self, place: int, kind: int) -> None:
        self.records[place] |= {"state": "settling", "kind": kind}

    def extend(self, place: int, lease_end: float) -> None:
        self.records[place]["lease_end"] = lease_end

    def remove(self, place: int) -> None:
        del self.records[place]


def message(
    name: str, *, group: str = "", receipt: str = "", count: int = 1, body: bytes = b"{}", intact: bool = True
) -> Received:
    """A message as a receive brings it."""
    attributes = {"ApproximateReceiveCount": str(count)} | ({"MessageGroupId": group} if group else {})
    return Received(name, receipt or f"receipt-{name}-{count}", body, attributes, {}, intact)


def ledger(
    *, fifo: bool = False, dead_letter: str = "https://sqs/dlq", attempts: int = 5, capacity: int = 1000
) -> Ledger:
    """An empty ledger; retries wait 0 to 10 s, doubling to 100 s."""
    rules = Rules(
        fifo=fifo,
        visibility=VISIBILITY,
        retry=RetrySettings(first=10.0, most=100.0),
        dead_letter=dead_letter,
        attempts=attempts,
    )
    return Ledger(DictTable(capacity), rules)


def receive(books: Ledger, *messages: Received, now: float = 0.0) -> list[Delivery]:
    """Bring messages; gives their deliveries, in order."""
    first = books.next_seq
    arrivals.received(books, messages, sent_at=now, now=now, chance=0.5)
    return [books.deliveries[seq] for seq in range(first, books.next_seq) if seq in books.deliveries]


def dispatch(books: Ledger, handler: int = 1, *, most: int = 10, now: float = 0.0) -> list[Delivery]:
    """Give out up to `most` to a handler."""
    return outcomes.take(books, handler, most=most, most_bytes=10**9, now=now)


def names(deliveries: Sequence[Delivery]) -> list[str]:
    """Message ids."""
    return [delivery.message_id for delivery in deliveries]


def settle_all(books: Ledger, *, now: float = 0.0) -> list[tuple[str, str]]:
    """Play the settler with an SQS that confirms everything; gives each step as (action, message id), in order."""
    steps: list[tuple[str, str]] = []
    while line := next((one for one in (books.deletes, books.sends, books.hides) if one), None):
        delivery = line.popleft()
        if not books.begin(delivery) or delivery.settlement is None:
            continue
        steps.append((delivery.settlement.action.name.lower(), delivery.message_id))
        books.confirmed(delivery, now=now)
    return steps


def balance(books: Ledger) -> tuple[int, int]:
    """Both sides of the conservation equation."""
    counts = books.counts
    out = counts["deleted"] + counts["released"] + counts["dead_lettered"] + counts["lost"]
    return counts["received"], out + len(books.deliveries) - books.lost_held
