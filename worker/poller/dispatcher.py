"""Poller process: gives messages to handlers by their credit, and takes their outcomes."""

from __future__ import annotations

import os
from collections import defaultdict

from worker.channel import Broken, Frame
from worker.message import Kind
from worker.policy import outcomes
from worker.policy.credit import BYTES, line_target, share
from worker.policy.delivery import Action, Delivery, Settlement, State
from worker.poller.links import HandlerLink
from worker.poller.state import PollerState
from worker.poller.watchman import Watchman, expiry
from worker.protocol import (
    Outcome,
    Parcel,
    StreamFrame,
    read_outcomes,
    send_messages,
)


class Dispatcher:
    """One per poller."""

    def __init__(self, state: PollerState) -> None:
        self._state = state
        self.links: dict[int, HandlerLink] = {}
        self._watchman = Watchman(state, self.links)
        self._drying: HandlerLink | None = None  # gets nothing, so that it can run a suspect

    # --- giving out

    def step(self, now: float) -> float:
        """Give out what may start; returns the seconds till it wants to be called again."""
        ledger = self._state.ledger
        for link in self.links.values():
            link.look(now)
        if not ledger.draining:
            if ledger.line.suspects or self._drying is not None:
                self._give_suspect(now)
            if ledger.line.count:
                self._give(now)
        self._tell_news()
        return self._watchman.step(now)

    def target(self) -> int:
        """How many messages the ready line should hold; 0 while no handler can take any."""
        links = [link for link in self.links.values() if link.greeted and not link.detaching]
        if not links:
            return 0
        concurrency = links[0].slot.concurrency
        most = self._state.queue.ready_messages
        if self._state.ledger.hiding_denied or self._state.beats_fail:
            most = len(links) * concurrency  # what waits in the line loses lease time that nobody extends
        return line_target([link.service for link in links], concurrency=concurrency, most=most)

    def _give(self, now: float) -> None:
        ledger = self._state.ledger
        open_links = [link for link in self.links.values() if link.room()]
        open_links.sort(key=lambda link: len(link.held))
        for place, link in enumerate(open_links):
            # Half a batch for each of two handlers would be two calls where one is enough.
            part = share(ledger.line.count, links=len(open_links) - place, service=link.service)
            deliveries = outcomes.take(
                ledger,
                link.uid,
                most=min(link.room(), max(part, self._state.queue.batch.size)),
                most_bytes=link.room_bytes(),
                places=max(1, link.slot.concurrency - len(link.held)),
                now=now,
            )
            if not deliveries:
                return
            self._send(link, deliveries, now)

    def _give_suspect(self, now: float) -> None:
        """A suspect goes to a handler that holds nothing; if none does, one is left to run dry while that is best."""
        dry, self._drying = self._drying, None
        if dry is not None:
            dry.alone = False  # who was empty sooner has the suspect; the places of this one must not wait for its end
        if not self._state.ledger.line.suspects:
            return
        links = [
            link for link in self.links.values() if link.greeted and not link.detaching and not link.channel.closed
        ]
        link = min(links, key=lambda link: (len(link.held), link is not dry), default=None)
        if link is None or link.alone:
            return
        link.alone = True
        if link.held:
            self._drying = link
            return
        deliveries = outcomes.take_suspect(self._state.ledger, link.uid, now=now)
        link.alone = bool(deliveries)
        self._send(link, deliveries, now)

    def _send(self, link: HandlerLink, deliveries: list[Delivery], now: float) -> None:
        parcels = [_parcel(delivery, expiry(self._state.ledger, delivery)) for delivery in deliveries]
        link.give(deliveries, now)
        # A big body is a frame of its own: a reader then needs no more memory than for that body.
        frame: list[Parcel] = []
        size = 0
        for parcel in parcels:
            if frame and size + len(parcel.body) > BYTES:
                send_messages(link.channel, frame)
                frame, size = [], 0
            frame.append(parcel)
            size += len(parcel.body)
        if frame:
            send_messages(link.channel, frame)

    # --- taking outcomes

    def attach(self, link: HandlerLink, now: float) -> None:
        """A handler's stream has arrived. After a predecessor's death its slot already tells what it finished."""
        self.links[link.uid] = link
        deliveries = self._state.ledger.deliveries.values()
        held = [one for one in deliveries if one.handler == link.uid and one.state is State.DISPATCHED]
        link.give(held, now)
        self._hear_ring(link, now)

    def readable(self, link: HandlerLink, now: float) -> None:
        """Take every frame that has arrived from a handler."""
        try:
            frames = link.channel.receive()
        except Broken as error:
            self._state.log.error("stream_broken", handler=link.number, why=str(error))
            link.channel.closed = True
            return
        for frame in frames:
            self._take(link, frame, now)

    def _take(self, link: HandlerLink, frame: Frame, now: float) -> None:
        link.heard_at = now
        if frame.kind == StreamFrame.OUTCOMES:
            acks, others = read_outcomes(frame)
            link.drop(outcomes.acked(self._state.ledger, acks, now=now))
            for outcome in others:
                self._other(link, outcome, now)
        elif frame.kind == StreamFrame.RETURNED:
            link.drop(outcomes.returned(self._state.ledger, frame.header))
        elif frame.kind == StreamFrame.HELLO:
            self._greeted(link, frame, now)

    def _other(self, link: HandlerLink, outcome: Outcome, now: float) -> None:
        ledger, seq = self._state.ledger, outcome.seq
        if outcome.kind is Kind.RETRY and not self._current(seq, outcome.attempt):
            return  # told once more after the death of a poller, and the message has been started again since
        chance = self._state.chance()
        delivery: Delivery | None
        if outcome.kind is Kind.RETRY:
            delivery = outcomes.retried(ledger, seq, outcome.after, why=outcome.reason, now=now, chance=chance)
        elif outcome.kind is Kind.REJECT:
            attributes = outcome.attributes or {}
            delivery = outcomes.rejected(ledger, seq, outcome.reason, body=outcome.body, attributes=attributes, now=now)
        else:
            delivery = outcomes.forwarded(ledger, seq, _forward(ledger.deliveries.get(seq), outcome), now=now)
        if delivery is not None:
            link.drop([delivery])
        if outcome.kind is not Kind.RETRY and (delivery is None or delivery.state is State.GONE):
            link.channel.send(StreamFrame.CONFIRM, [seq])  # settled before the last poller died, or lost by now

    def _greeted(self, link: HandlerLink, frame: Frame, now: float) -> None:
        """A handler says what it has. What we gave it and it does not know never arrived: it goes to another."""
        link.greeted = True
        self._hear_ring(link, now)
        known = {*frame.header["running"], *frame.header["unstarted"]}
        known |= {written.seq for written in link.slot.outcomes() if self._current(written.seq, written.attempt)}
        link.drop(outcomes.returned(self._state.ledger, [seq for seq in link.held if seq not in known]))
        if self._state.draining:
            link.channel.send(StreamFrame.RECALL, None)

    def _hear_ring(self, link: HandlerLink, now: float) -> None:
        """Outcomes from shared memory, for those whose frames died with a stream."""
        for written in link.slot.outcomes():
            if written.seq not in link.held:
                continue
            if written.kind == Kind.ACK:
                link.drop(outcomes.acked(self._state.ledger, [written.seq], now=now))
            elif written.kind == Kind.RETRY:
                after = written.after if written.after >= 0 else None
                outcome = Outcome(written.seq, Kind.RETRY, after, "told by the ring", attempt=written.attempt)
                self._other(link, outcome, now)

    def _current(self, seq: int, attempt: int) -> bool:
        """Whether this is the last start of the delivery: a FIFO message is retried here, under the same sequence."""
        delivery = self._state.ledger.deliveries.get(seq)
        return delivery is not None and delivery.attempts == attempt

    # --- endings

    def recall(self) -> None:
        """Ask every handler to give back what it has not started."""
        for link in self.links.values():
            link.channel.send(StreamFrame.RECALL, None)

    def detach(self, uid: int) -> bool:
        """Give this handler nothing more; False if we do not know it."""
        link = self.links.get(uid)
        if link is None:
            return False
        link.detaching = True
        link.channel.send(StreamFrame.RECALL, None)
        return True

    def died(self, uid: int, death: outcomes.Death, now: float) -> HandlerLink | None:
        """A handler is dead and reaped: what it still wrote counts first, the stream to its end, then the ring."""
        link = self.links.pop(uid, None)
        running: dict[int, float] = {}
        if link is not None:
            self.readable(link, now)
            self._hear_ring(link, now)
            running = {entry.seq: entry.deadline for entry in link.slot.running()}
        late = self._watchman.expired
        in_time = {seq for seq, deadline in running.items() if deadline > now and not late(seq, now)}
        chance = self._state.chance()
        outcomes.died(self._state.ledger, uid, running.keys(), death=death, now=now, chance=chance, in_time=in_time)
        return link

    def presume_dead(self, now: float) -> list[HandlerLink]:
        """Without a supervisor nobody reaps: a handler is dead when its stream has ended and its pid is gone."""
        dead = [link for link in self.links.values() if link.channel.closed and not _alive(link.pid)]
        for link in dead:
            self.died(link.uid, outcomes.Death(caused=True, why="its supervisor died"), now)
        return dead

    def _tell_news(self) -> None:
        ledger = self._state.ledger
        if not ledger.news:
            return
        by_handler: defaultdict[tuple[int, StreamFrame], list[int]] = defaultdict(list)
        for kind, delivery in ledger.news:
            frame = StreamFrame.LOST if kind == "lost" else StreamFrame.CONFIRM
            by_handler[delivery.handler, frame].append(delivery.seq)
        ledger.news.clear()
        for (uid, frame), seqs in by_handler.items():
            if uid in self.links:
                self.links[uid].channel.send(frame, seqs)


def _parcel(delivery: Delivery, expires: float) -> Parcel:
    message = delivery.message
    assert message is not None  # noqa: S101 - what has no body is released, never dispatched
    return Parcel(
        delivery.seq,
        delivery.attempts,
        expires,
        delivery.message_id,
        message.attributes,
        message.message_attributes,
        message.body,
    )


def _forward(delivery: Delivery | None, outcome: Outcome) -> Settlement:
    """A forward to a FIFO queue keeps the source's group, and its message id deduplicates repeated forwards."""
    group, deduplication = outcome.group_id, outcome.deduplication_id
    if delivery is not None and outcome.queue.endswith(".fifo"):
        message = delivery.message
        group = group or (message.group if message else delivery.group) or delivery.message_id
        deduplication = deduplication or delivery.message_id
    return Settlement(
        Action.SEND,
        Kind.FORWARD,
        queue=outcome.queue,
        body=outcome.body,
        attributes=outcome.attributes or {},
        group_id=group,
        deduplication_id=deduplication,
        delay=outcome.delay,
    )


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
