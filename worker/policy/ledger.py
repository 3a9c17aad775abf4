"""Pure rules: the ledger, one record per delivery from its receive to its confirmed settlement.

Here are the records and how they leave: settling, releasing, losing. How they come is in `arrivals`, how they start and
what handlers make of them in `outcomes`, how their leases are kept in `beats`. What has to be done comes out in queues
that the actors empty: `deletes`, `hides`, `sends` (the settler), `news` (the dispatcher), `events` (the log).
A record leaves only on a confirmed settlement or by the lease clock.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque

from worker.message import Kind
from worker.policy.backoff import SETTLE_FIRST, SETTLE_MOST, full_jitter, half_jitter, till_closed
from worker.policy.delivery import Action, Delivery, Settlement, State
from worker.policy.ordering import GroupLine, ReadyLine
from worker.policy.rules import COUNTED, Event, Rules, Table

#: Message ids remembered as done though no delete was confirmed within the lease.
DONE_REMEMBERED = 10_000


class Ledger:
    """All that one poller holds."""

    def __init__(self, table: Table, rules: Rules, *, first_seq: int = 1) -> None:
        self.table = table
        self.rules = rules
        self.next_seq = first_seq
        self.line: ReadyLine = GroupLine() if rules.fifo else ReadyLine()
        #: By sequence, in the order in which beats fall due: all have the same interval, so the latest goes to the end.
        self.deliveries: OrderedDict[int, Delivery] = OrderedDict()
        self.by_id: dict[str, Delivery] = {}
        self.done: OrderedDict[str, None] = OrderedDict()
        self.closing: set[str] = set()  #: groups that are being released
        self.hurried: list[tuple[float, int]] = []  #: beats out of turn, after one that failed
        self.draining = False
        #: IAM denies ChangeMessageVisibility: no beats, and a release is letting the lease lapse.
        self.hiding_denied = False
        self.unsure, self.unsure_until = 0, 0.0  #: releases that SQS may have made or not; when the last lease ends
        self.lost_held = 0  #: records of lost leases that wait for their handler to tell
        self.deletes: deque[Delivery] = deque()
        self.hides: deque[Delivery] = deque()
        self.sends: deque[Delivery] = deque()
        self.news: list[tuple[str, Delivery]] = []  #: "lost" or "confirm", for the delivery's handler
        self.events: list[Event] = []
        self.counts: dict[str, int] = dict.fromkeys(COUNTED, 0)
        self._later: list[tuple[float, int]] = []  #: WAITING deliveries, and settlements to try again

    def tell(self, event: str, delivery: Delivery, why: str = "") -> None:
        """Something for the log."""
        self.events.append(Event(event, delivery, why))

    def backoff(self, attempt: int, chance: float) -> float:
        """Seconds to hide a message after a retry of its `attempt`-th attempt."""
        return full_jitter(max(1, attempt), first=self.rules.retry.first, most=self.rules.retry.most, chance=chance)

    # --- settling

    def settle(self, delivery: Delivery, settlement: Settlement) -> None:
        """The outcome is known; the settler makes it true."""
        if delivery.state is State.READY:
            self.line.withdraw(delivery)
        delivery.state = State.SETTLING
        delivery.settlement = settlement
        if settlement.action is not Action.HIDE:
            # To a successor a reject or forward is no ack before its send is confirmed: the handler tells it again.
            self.table.settle(delivery.place, settlement.kind)
        self.enqueue(delivery)

    def enqueue(self, delivery: Delivery) -> None:
        """Put the settlement into its queue; later if a beat with its receipt is on its way, or its group's tail is."""
        settlement = delivery.settlement
        if settlement is None or delivery.queued or delivery.calling:
            return
        if settlement.action is Action.DELETE:
            self.deletes.append(delivery)
        elif settlement.action is Action.SEND:
            self.sends.append(delivery)
        elif self.hiding_denied and self.draining:
            self.gone(delivery, "released")  # comes back when its lease lapses: all that can be done for it
            return
        elif self.hiding_denied:
            heapq.heappush(self._later, (delivery.lease_end, delivery.seq))
            return
        elif self.line.behind(delivery):
            return  # the last of them to leave comes here again
        else:
            self.hides.append(delivery)
        delivery.queued = True

    def begin(self, delivery: Delivery) -> bool:
        """The settler took it from its queue; True: make the call. A beat on its way goes first, and enqueues it."""
        delivery.queued = False
        if delivery.calling or delivery.seq not in self.deliveries:
            return False
        delivery.calling = True
        settlement = delivery.settlement
        if settlement is not None and settlement.action is Action.HIDE:
            self.table.settle(delivery.place, settlement.kind)  # from here on a successor cannot know if it was made
        for other in delivery.parked or ():
            other.earlier = True
        return True

    def release(self, delivery: Delivery, *, after: float = 0.0, kind: Kind = Kind.RETRY) -> None:
        """Give it back to SQS, hidden for `after` seconds; a group's tail first, confirmed, then its head."""
        if self.rules.fifo:
            self.closing.add(delivery.group)
        self.close_group(delivery)
        self.settle(delivery, Settlement(Action.HIDE, kind, seconds=after))

    def close_group(self, first: Delivery) -> None:
        """Nothing behind this delivery may start any more: what stands there is released."""
        behind = self.line.after(first)
        if behind:
            self.closing.add(first.group)
        for other in behind:
            if other.state is State.READY:
                self.settle(other, Settlement(Action.HIDE, Kind.RETRY))

    def confirmed(self, delivery: Delivery, *, now: float) -> None:
        """SQS confirmed the delivery's current step."""
        delivery.calling = False
        delivery.tries = 0
        settlement = delivery.settlement
        if settlement is None or delivery.seq not in self.deliveries:
            return
        if settlement.action is Action.SEND:
            delivery.settlement = Settlement(Action.DELETE, settlement.kind)
            self.table.settle(delivery.place, Kind.ACK)
            self.enqueue(delivery)
        elif settlement.action is Action.DELETE:
            if delivery.lease_end <= now or delivery.parked:
                self.remember(delivery)  # a delete with an old receipt succeeds without deleting
            self.gone(delivery, "dead_lettered" if settlement.kind is Kind.REJECT else "deleted")
        else:
            self.gone(delivery, "released")

    def unsettled(self, delivery: Delivery, *, final: bool, why: str, now: float, chance: float) -> None:
        """The delivery's current step failed; `final`: SQS will never take it (SenderFault)."""
        delivery.calling = False
        settlement = delivery.settlement
        if settlement is None or delivery.seq not in self.deliveries:
            return
        if not final and not delivery.over(now):
            delivery.tries += 1
            self.later(
                delivery, half_jitter(delivery.tries, first=SETTLE_FIRST, most=SETTLE_MOST, chance=chance), now=now
            )
            return
        self.tell("settle_failed", delivery, why)
        if settlement.action is Action.SEND and final:
            # A reject that its dead-letter queue refuses, a forward to nowhere: never deleted, tried again later.
            reject = settlement.kind is Kind.REJECT
            wait = self.rules.retry.most if reject else self.backoff(delivery.attempts, chance)
            self.release(delivery, after=wait, kind=settlement.kind)
            return
        self.lapse(delivery)

    def doubt(self, delivery: Delivery, *, sent_at: float) -> None:
        """The answer to its settlement is lost, so SQS may have made it.

        When the time for which a release hides is over, somebody else may have the message, and a standard queue obeys
        any receipt: to release it again would end that lease. Deletes, and a FIFO queue, know old receipts.
        """
        settlement = delivery.settlement
        if settlement is not None and settlement.action is Action.HIDE and not self.rules.fifo:
            delivery.visible_at = min(delivery.visible_at, sent_at + settlement.seconds)

    def later(self, delivery: Delivery, wait: float, *, now: float) -> None:
        """tick() comes back to this delivery after `wait` seconds."""
        heapq.heappush(self._later, (now + wait, delivery.seq))

    def tick(self, now: float) -> float:
        """Bring back what waited; returns when the next one is due (infinity: nothing waits)."""
        while self._later and self._later[0][0] <= now:
            delivery = self.deliveries.get(heapq.heappop(self._later)[1])
            if delivery is None:
                continue
            if delivery.state is State.WAITING:
                self.give_out_again(delivery)
            elif delivery.state is State.SETTLING and delivery.over(now):
                self.lapse(delivery)
            elif delivery.state is State.SETTLING:
                self.enqueue(delivery)
        return self._later[0][0] if self._later else float("inf")

    def wait(self, delivery: Delivery, seconds: float, *, now: float) -> None:
        """Keep it leased in the pool; it may start again after `seconds`."""
        delivery.state = State.WAITING
        delivery.handler = 0
        self.table.ready(delivery.place, attempts=delivery.attempts, crashes=delivery.crashes)
        self.later(delivery, seconds, now=now)

    def give_out_again(self, delivery: Delivery) -> None:
        """It may start again, first in line."""
        if delivery.lost:
            self.gone(delivery, "")
            return
        delivery.state = State.READY
        delivery.handler = 0
        self.table.ready(delivery.place, attempts=delivery.attempts, crashes=delivery.crashes)
        self.line.put_back(delivery)
        if self.draining or delivery.message is None or delivery.group in self.closing:
            self.release(delivery)

    def drain(self) -> None:
        """Nothing starts any more: release what waits. What runs goes on."""
        self.draining = True
        for delivery in (*reversed(self.line.standing()), *self.deliveries.values()):
            if delivery.state in (State.READY, State.WAITING):
                self.release(delivery)

    # --- leaving

    def lapse(self, delivery: Delivery) -> None:
        """The lease ran out, or SQS says that it is not ours. What was done is remembered, and not run again."""
        settlement = delivery.settlement
        if delivery.state is State.SETTLING and settlement is not None and settlement.action is Action.HIDE:
            if not delivery.calling:
                self.unsure += delivery.visible_at < delivery.lease_end
                self.unsure_until = max(self.unsure_until, delivery.lease_end)
                self.gone(delivery, "released")  # it is visible again, which is what was to become true
            return
        if delivery.state is State.SETTLING and settlement is not None and settlement.action is Action.DELETE:
            self.remember(delivery)
        if delivery.state is State.SETTLING and delivery.calling:
            return  # the answer to its settlement decides
        self.lose(delivery)

    def lose(self, delivery: Delivery) -> None:
        """The lease is lost. A running one keeps its record till its handler has told what became of it."""
        if not delivery.lost:
            delivery.lost = True
            self.lost_held += 1
            self.counts["lost"] += 1
            self.tell("lease_lost", delivery, delivery.state.name.lower())
            # A second delivery stands for the first one, whose place in the group it would have taken.
            self.close_group(self.by_id.get(delivery.message_id, delivery))
            if delivery.state is State.DISPATCHED:
                self.news.append(("lost", delivery))
        if delivery.state is not State.DISPATCHED:
            self.gone(delivery, "")

    def gone(self, delivery: Delivery, counter: str) -> None:
        """The record leaves, counted as `counter`, or as lost if it was."""
        if self.deliveries.pop(delivery.seq, None) is None:
            return
        if delivery.state is State.READY:
            self.line.withdraw(delivery)
        delivery.state = State.GONE
        self.lost_held -= delivery.lost
        self.table.remove(delivery.place)
        if counter and not delivery.lost:
            self.counts[counter] += 1
        settlement = delivery.settlement
        if settlement is not None and counter == "deleted":
            self.counts["repeated"] += settlement.repeated
            self.counts["forwarded"] += settlement.kind is Kind.FORWARD
        if delivery.told:
            self.news.append(("confirm", delivery))
        if self.by_id.get(delivery.message_id) is delivery:
            del self.by_id[delivery.message_id]
        done = counter in ("deleted", "dead_lettered") or delivery.message_id in self.done
        hidden = counter == "released" and not self.rules.fifo
        heir = self._unpark(delivery, done=done, hidden=hidden) if delivery.parked else None
        self.line.leave(delivery, heir)
        if heir is not None:
            self._inherit(delivery, heir)
        if delivery.group in self.closing:
            self._close_further(delivery.group)

    def remember(self, delivery: Delivery) -> None:
        """The message is done, but its delete is not certain: if it comes again it is deleted, not run."""
        self.done[delivery.message_id] = None
        if len(self.done) > DONE_REMEMBERED:
            self.done.popitem(last=False)

    def _close_further(self, group: str) -> None:
        head = self.line.head(group)
        if head is None:
            self.closing.discard(group)
        elif head.state is State.READY:
            self.release(head)
        elif head.state is State.SETTLING:
            self.enqueue(head)

    def _unpark(self, first: Delivery, *, done: bool, hidden: bool) -> Delivery | None:
        """The first delivery is gone. Of a done message all others are deleted; else the latest, whose receipt counts,
        takes the first one's place.

        A standard queue changes a message's visibility by any of its receipts (`hidden`): those that came before that
        was sent are no leases any more. The heir is never given back at once: a first that was released with 0 would
        come again before that was confirmed, be parked, and so on, till its receive count is used up.
        """
        parked = [delivery for delivery in first.parked or () if delivery.seq in self.deliveries]
        if done:
            for delivery in parked:
                self.settle(delivery, Settlement(Action.DELETE, Kind.ACK, repeated=True))
            return None
        heir = parked[-1] if parked and not (hidden and parked[-1].earlier) else None
        for delivery in parked:
            if delivery is not heir:
                self.gone(delivery, "released")
        return heir

    def _inherit(self, first: Delivery, heir: Delivery) -> None:
        """The heir stands in the line at the first one's place; it is hidden as long as that was to be."""
        self.by_id[heir.message_id] = heir
        heir.crashes = first.crashes
        came = first.parked or []
        # Newer ones that are lost: theirs is the receipt that counts, so a delete by the heir's is not certain.
        heir.parked = came[came.index(heir) + 1 :] or None
        seconds = first.settlement.seconds if first.settlement is not None else 0.0
        damaged = heir.message is not None and not heir.message.intact
        if heir.group in self.closing:
            self.release(heir, after=max(seconds, till_closed(heir.attempts)))
        elif seconds or damaged or self.draining or heir.message is None:
            self.release(heir, after=max(seconds, self.rules.retry.first if damaged else 0.0))
