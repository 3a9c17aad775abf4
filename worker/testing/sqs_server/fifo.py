"""SQS server process: the order of a FIFO queue: groups, and within a group strictly as sent."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from worker.testing.sqs_server.messages import GONE, READY, Message


@dataclass(slots=True)
class _Group:
    messages: deque[Message] = field(default_factory=deque)
    #: Whether it stands in the line of groups that have something to give.
    listed: bool = False


class GroupOrder:
    """The messages of a FIFO queue.

    A group gives its messages from the head up to the first one that is hidden: while the head is in flight it gives
    none, and a head that becomes visible is given although later ones are still in flight (recorded on AWS). Groups
    stand in the order in which they got something to give (recorded on AWS as well).
    """

    __slots__ = ("_groups", "_line")

    def __init__(self) -> None:
        self._groups: dict[str, _Group] = {}
        self._line: deque[str] = deque()

    def add(self, message: Message) -> None:
        """A new message, already visible."""
        self._append(message)
        self._refresh(message.group or "")

    def add_hidden(self, message: Message) -> None:
        """A new message that is delayed: it keeps its place, and nothing behind it is given before it."""
        self._append(message)

    def _append(self, message: Message) -> None:
        group = self._groups.get(message.group or "")
        if group is None:
            group = self._groups[message.group or ""] = _Group()
        group.messages.append(message)

    def returned(self, message: Message) -> None:
        """A message became visible (again)."""
        self._refresh(message.group or "")

    def left(self, message: Message) -> None:
        """A message is GONE: the next of its group may be the head now."""
        self._refresh(message.group or "")

    def _refresh(self, name: str) -> None:
        group = self._groups.get(name)
        if group is None:
            return
        messages = group.messages
        while messages and messages[0].state is GONE:
            messages.popleft()
        if not messages:
            if not group.listed:
                del self._groups[name]
        elif messages[0].state is READY and not group.listed:
            group.listed = True
            self._line.append(name)

    def take(self, limit: int, accept: Callable[[Message], bool]) -> None:
        """Offers messages, as many as there are of one group before the next, until `limit` were accepted.

        `accept` gives the message out and returns True, or takes it out of the queue and returns False. It only sets
        the message's state, since the group is being walked.
        """
        visited: list[str] = []
        while limit and self._line:
            name = self._line.popleft()
            group = self._groups[name]
            group.listed = False
            visited.append(name)
            for message in group.messages:
                if message.state is GONE:
                    continue
                if message.state is not READY:
                    break
                if accept(message):
                    limit -= 1
                    if not limit:
                        break
        for name in visited:
            self._refresh(name)

    def messages(self) -> Iterable[Message]:
        """The visible messages, in no particular order."""
        for group in self._groups.values():
            yield from (message for message in group.messages if message.state is READY)

    def clear(self) -> None:
        """Forgets everything."""
        self._groups.clear()
        self._line.clear()
