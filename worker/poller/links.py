"""Poller process: its end of the stream to one handler, and what it knows of that handler."""

from __future__ import annotations

from worker.channel import Channel
from worker.policy.credit import BYTES, credit, unread_bytes, worth_sending
from worker.policy.delivery import Delivery
from worker.slots import HandlerSlot

#: Seconds between two looks at a handler's mean time per message.
_LOOK = 0.05


class HandlerLink:
    """One handler process, from ATTACH to its death or DETACH."""

    def __init__(self, uid: int, number: int, *, pid: int, channel: Channel, slot: HandlerSlot, now: float) -> None:
        self.uid = uid
        self.number = number
        self.pid = pid
        self.channel = channel
        self.slot = slot
        self.held: dict[int, int] = {}  #: sequence to body bytes: given to it, and no outcome yet
        self.held_bytes = 0
        self.greeted = False  #: its HELLO has come: it may get messages
        self.detaching = False
        self.alone = False  #: it runs a suspect, or is to run one: nothing else beside it
        self.service: float | None = None  #: mean seconds a message, None before the first
        self.heard_at = now  #: when it was last given something or told something
        self.reported: set[int] = set()  #: overdue messages the supervisor knows of
        self._looked_at = now
        facts = slot.look()
        self._done, self._busy = facts.done, facts.busy

    def give(self, deliveries: list[Delivery], now: float) -> None:
        """Remember what was sent to it."""
        for delivery in deliveries:
            self.held[delivery.seq] = delivery.size
            self.reported.discard(delivery.seq)  # retried in the pool: another start, which may hang as well
            self.held_bytes += delivery.size
        self.heard_at = now

    def drop(self, deliveries: list[Delivery]) -> None:
        """It holds these no more."""
        for delivery in deliveries:
            self.held_bytes -= self.held.pop(delivery.seq, 0)
        if not self.held:
            self.alone = False

    def room(self) -> int:
        """How many more messages it may be sent now."""
        if not self.greeted or self.detaching or self.alone or self.channel.closed or self.channel.pending:
            return 0
        concurrency = self.slot.concurrency
        most, held = credit(self.service, concurrency=concurrency), len(self.held)
        if self.room_bytes() <= 0 or not worth_sending(held, most, concurrency=concurrency):
            return 0
        return most - held

    def room_bytes(self) -> int:
        """How many more bytes of bodies it may be sent now, beyond one message for each free place."""
        return BYTES - unread_bytes(self.held_bytes, held=len(self.held), concurrency=self.slot.concurrency)

    def look(self, now: float) -> None:
        """Learn its mean time per message from its slot."""
        if now - self._looked_at < _LOOK:
            return
        facts = self.slot.look()
        done, busy = facts.done - self._done, facts.busy - self._busy
        self._looked_at = now
        if done > 0:
            mean = busy / done
            # An abrupt change counts at once upwards: too much credit behind a slow message is the worse mistake.
            self.service = mean if self.service is None else max(mean, 0.7 * self.service + 0.3 * mean)
            self._done, self._busy = facts.done, facts.busy
