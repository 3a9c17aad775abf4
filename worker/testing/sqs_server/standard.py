"""SQS server process: the order of a standard queue: as sent, with messages that came back in their old place."""

from collections import deque
from collections.abc import Callable, Iterable
from heapq import heappop, heappush

from worker.testing.sqs_server.messages import READY, Message


class StandardOrder:
    """The visible messages of a standard queue. AWS promises no order; the oldest first is the one it mostly shows."""

    __slots__ = ("_fresh", "_returned")

    def __init__(self) -> None:
        self._fresh: deque[Message] = deque()
        self._returned: list[tuple[int, Message]] = []

    def add(self, message: Message) -> None:
        """A new message, already visible."""
        self._fresh.append(message)

    def add_hidden(self, message: Message) -> None:
        """A new message that is delayed: it comes back by `returned`."""

    def returned(self, message: Message) -> None:
        """A message became visible (again)."""
        heappush(self._returned, (message.sequence, message))

    def left(self, message: Message) -> None:
        """A message is GONE: the line skips it when it comes to it."""

    def take(self, limit: int, accept: Callable[[Message], bool]) -> None:
        """Offers visible messages in order until `limit` of them were accepted.

        `accept` gives the message out and returns True, or takes it out of the queue and returns False. It only sets
        the message's state.
        """
        again: list[Message] = []
        fresh, returned = self._fresh, self._returned
        while limit:
            if returned and (not fresh or returned[0][0] < fresh[0].sequence):
                message = heappop(returned)[1]
            elif fresh:
                message = fresh.popleft()
            else:
                break
            if message.state is not READY:
                continue
            if accept(message):
                limit -= 1
                if message.state is READY:
                    again.append(message)
        for message in again:
            self.returned(message)

    def messages(self) -> Iterable[Message]:
        """The visible messages, in no particular order."""
        yield from (message for message in self._fresh if message.state is READY)
        yield from (message for _, message in self._returned if message.state is READY)

    def clear(self) -> None:
        """Forgets everything."""
        self._fresh.clear()
        self._returned.clear()
