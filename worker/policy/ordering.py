"""Pure rules: which deliveries may start, and in what order."""

from __future__ import annotations

from collections import deque
from itertools import takewhile

from worker.policy.delivery import Delivery, State


class ReadyLine:
    """The ready line of a standard queue: first come, first served; what was given back goes first."""

    fifo = False

    def __init__(self) -> None:
        self._line: deque[Delivery] = deque()
        #: Deliveries that a handler died with: each runs alone, so they stand apart and hold up nobody.
        self.suspects: deque[Delivery] = deque()
        self.count = 0  #: READY deliveries, those behind others of their group included
        self.bytes = 0  #: their body bytes

    def add(self, delivery: Delivery) -> None:
        """A delivery arrived."""
        self._line.append(delivery)
        self._counted(delivery, 1)

    def put_back(self, delivery: Delivery) -> None:
        """A delivery may start again, before all others."""
        (self.suspects if delivery.suspect else self._line).appendleft(delivery)
        self._counted(delivery, 1)

    def peek(self, *, suspect: bool = False) -> Delivery | None:
        """The next that may start."""
        line = self.suspects if suspect else self._line
        while line:
            if line[0].state is State.READY:
                return line[0]
            line.popleft()  # withdrawn while it stood in the line
        return None

    def take(self, *, suspect: bool = False) -> Delivery:
        """Remove what peek() showed."""
        delivery = (self.suspects if suspect else self._line).popleft()
        self._counted(delivery, -1)
        return delivery

    def withdraw(self, delivery: Delivery) -> None:
        """A READY delivery will not start: its state is about to change."""
        self._counted(delivery, -1)

    def leave(self, delivery: Delivery, heir: Delivery | None = None) -> None:  # noqa: ARG002 - GroupLine needs it
        """The delivery is gone from the ledger; `heir`, a later delivery of its message, stands in its place."""
        if heir is not None:
            heir.state = State.READY
            self.add(heir)

    def behind(self, delivery: Delivery) -> list[Delivery]:  # noqa: ARG002 - GroupLine needs it
        """The deliveries of its group that wait for this head, last first; none if it is not the head of a group."""
        return []

    def after(self, delivery: Delivery) -> list[Delivery]:  # noqa: ARG002 - GroupLine needs it
        """The deliveries of its group that stand behind this one, last first, wherever it stands itself."""
        return []

    def head(self, group: str) -> Delivery | None:  # noqa: ARG002 - GroupLine needs it
        """The head of a group."""
        return None

    def standing(self) -> list[Delivery]:
        """All READY deliveries, oldest first."""
        return [one for one in (*self.suspects, *self._line) if one.state is State.READY]

    def _counted(self, delivery: Delivery, sign: int) -> None:
        self.count += sign
        self.bytes += sign * delivery.size


class GroupLine(ReadyLine):
    """The ready line of a FIFO queue: of each group only the head may start, till its settlement is confirmed."""

    fifo = True

    def __init__(self) -> None:
        super().__init__()
        self._groups: dict[str, deque[Delivery]] = {}

    def add(self, delivery: Delivery) -> None:
        group = self._groups.setdefault(delivery.group, deque())
        group.append(delivery)
        self._counted(delivery, 1)
        if len(group) == 1:
            self._line.append(delivery)

    def leave(self, delivery: Delivery, heir: Delivery | None = None) -> None:
        group = self._groups.get(delivery.group)
        if group is None or delivery not in group:
            return  # a parked second delivery: it never joined its group
        was_head = group[0] is delivery
        if heir is not None:
            # What arrived behind it must not start before it does.
            heir.state = State.READY
            group[group.index(delivery)] = heir
            self._counted(heir, 1)
        else:
            group.remove(delivery)
        if not group:
            del self._groups[delivery.group]
        elif was_head and group[0].state is State.READY:
            self._line.append(group[0])

    def behind(self, delivery: Delivery) -> list[Delivery]:
        group = self._groups.get(delivery.group)
        if not group or group[0] is not delivery:
            return []
        return [group[place] for place in range(len(group) - 1, 0, -1)]

    def after(self, delivery: Delivery) -> list[Delivery]:
        group = self._groups.get(delivery.group, ())
        return list(takewhile(lambda one: one is not delivery, reversed(group))) if delivery in group else []

    def head(self, group: str) -> Delivery | None:
        members = self._groups.get(group)
        return members[0] if members else None

    def standing(self) -> list[Delivery]:
        return [one for group in self._groups.values() for one in group if one.state is State.READY]
