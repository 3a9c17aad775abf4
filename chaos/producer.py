"""Producer process: sends messages at a rate, over plain HTTP, and writes down what became of each request.

    python -m chaos.producer OPTIONS      a JSON object, see `Order`

What was not confirmed is written down as unknown and never sent again: it may be in the queue. The producer is bounded
by its number of messages, by its time, and by the messages that may wait in the queue.
"""

from __future__ import annotations

import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import orjson

from chaos.logs import Sent, sent_line, stamp
from chaos.wire import Wire, queue_url

_BATCH = 10
#: Seconds between two looks at how many messages wait.
_LOOK = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a producer is to do."""

    port: int  #: of the SQS server, on this machine
    queue: str  #: name
    log: str  #: path
    seed: int
    seconds: float
    rate: float  #: messages a second, 0: as fast as the queue empties
    messages: int = 2**62  #: at most
    first: int = 0  #: the first id
    groups: int = 0  #: of a FIFO queue
    backlog: int = 20_000  #: messages that may wait in the queue
    eaters: float = 0.0  #: share of messages whose handler function takes all memory
    long_share: float = 0.01  #: share of messages that take up to `long` milliseconds; the others up to `short`
    long: int = 60
    short: int = 3


class Sender:
    """Sends batches to one queue; ids run on from `first`."""

    def __init__(self, port: int, queue: str, log: Path, *, groups: int, first: int = 0) -> None:
        self._wire = Wire(port)
        self._url = queue_url(port, queue)
        self._log = log.open("a", buffering=1)
        self._groups = groups
        self._places: dict[str, int] = {}
        self._first = self.next = first

    def send(self, works: list[tuple[int, str]]) -> int:
        """Send a batch of at most ten messages: milliseconds of work, and a word. How many were confirmed."""
        entries, batch = [], []
        for place, (milliseconds, word) in enumerate(works):
            # Groups of its own: another sender's messages are no part of this one's order.
            group = f"g{self._first}.{self.next % self._groups}" if self._groups else "-"
            seq = self._places[group] = self._places.get(group, -1) + 1
            entry = {"Id": str(place), "MessageBody": f"{self.next} {milliseconds} {word}"}
            if self._groups:
                entry |= {"MessageGroupId": group, "MessageDeduplicationId": str(self.next)}
            entries.append(entry)
            batch.append((self.next, group, seq))
            self.next += 1
        answer = self._wire.ask("SendMessageBatch", {"QueueUrl": self._url, "Entries": entries})
        ns = stamp()
        sent = {int(one["Id"]): str(one["MessageId"]) for one in (answer or {}).get("Successful", ())}
        for place, (number, group, seq) in enumerate(batch):
            # A failed entry is unknown as well: the answer may lie, as the fault plan makes it.
            outcome = "ok" if place in sent else "unknown"
            self._log.write(sent_line(Sent(number, group, seq, outcome, sent.get(place, "-"), ns)))
        return len(sent)

    def waiting(self) -> int:
        """Messages in the queue that nobody holds; 0 where the server does not tell."""
        names = ["ApproximateNumberOfMessages"]
        answer = self._wire.ask("GetQueueAttributes", {"QueueUrl": self._url, "AttributeNames": names})
        return int((answer or {}).get("Attributes", {}).get(names[0], 0))

    def close(self) -> None:
        """Close the connection and the log."""
        self._wire.close()
        self._log.close()


def produce(order: Order) -> None:
    """Send what the order says."""
    chance = random.Random(order.seed)  # noqa: S311 - test data that repeats
    sender = Sender(order.port, order.queue, Path(order.log), groups=order.groups, first=order.first)
    begin = time.monotonic()
    look_at, waiting = begin, 0
    try:
        while (done := sender.next - order.first) < order.messages and (
            now := time.monotonic()
        ) < begin + order.seconds:
            if now >= look_at:
                waiting, look_at = sender.waiting(), now + _LOOK
            ahead = done / order.rate - (now - begin) if order.rate else 0.0
            if ahead > 0 or waiting > order.backlog:
                time.sleep(min(_LOOK, ahead) if ahead > 0 else _LOOK / 4)
                continue
            count = min(_BATCH, order.messages - done)
            if not sender.send([_work(order, chance) for _ in range(count)]):
                time.sleep(_LOOK / 4)  # an endpoint that is down would be asked thousands of times
            waiting += count
    finally:
        sender.close()


def _work(order: Order, chance: random.Random) -> tuple[int, str]:
    word = "eat" if chance.random() < order.eaters else "-"
    longest = order.long if chance.random() < order.long_share else order.short
    return chance.randint(0, longest), word


if __name__ == "__main__":
    produce(Order(**orjson.loads(sys.argv[1])))
