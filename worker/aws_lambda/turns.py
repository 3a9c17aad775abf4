"""Lambda function: whose turn it is: a message of a FIFO group starts when the one before it is done. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from worker.aws_lambda.event import Delivery


class Turns:
    """The messages of one event. Whatever is not said to be done has failed, also what never had its turn."""

    def __init__(self, deliveries: Sequence[Delivery]) -> None:
        self._deliveries = deliveries
        self._lines: dict[object, deque[Delivery]] = {}
        for delivery in deliveries:
            self._lines.setdefault(delivery.group or delivery, deque()).append(delivery)
        self._done: set[Delivery] = set()
        self._had: set[Delivery] = set()

    def __iter__(self) -> Iterator[list[Delivery]]:
        """One round after the other: the next message of each group, and at first all that have none."""
        while self._lines:
            heads = [line.popleft() for line in self._lines.values()]
            self._had.update(heads)
            yield heads
            # After a failure the rest of a group is not run: its order would be lost.
            self._lines = {
                name: line for (name, line), head in zip(self._lines.items(), heads, strict=True) if head in self._done
            }
            self._lines = {name: line for name, line in self._lines.items() if line}

    def done(self, delivery: Delivery) -> None:
        """It may be deleted."""
        self._done.add(delivery)

    def unrun(self) -> Iterable[Delivery]:
        """What never had its turn, in the order of the event."""
        return (delivery for delivery in self._deliveries if delivery not in self._had)

    def failed(self) -> Iterable[Delivery]:
        """In the order of the event."""
        return (delivery for delivery in self._deliveries if delivery not in self._done)
