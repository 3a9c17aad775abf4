"""Poller process: the loop. Waits for whatever comes next, hands it to the actor it concerns, then steps them all."""

from __future__ import annotations

import os
import selectors
import socket
from typing import Any

import orjson

from worker import platform
from worker.channel import Channel, Frame
from worker.policy.health import HINTS
from worker.policy.outcomes import Death
from worker.policy.pace import ADVICE
from worker.policy.requests import Answer, Look, Receive
from worker.poller.dispatcher import Dispatcher
from worker.poller.emptiness import ASKED, Emptiness
from worker.poller.heartbeater import Beat, Heartbeater
from worker.poller.links import HandlerLink
from worker.poller.lookout import Lookout
from worker.poller.receiver import Receiver
from worker.poller.settler import Batch, Settler
from worker.poller.state import PollerState
from worker.poller.stopping import Stopping
from worker.protocol import ControlFrame
from worker.slots import ChildState, HandlerSlot, PollerSlot

#: Seconds between two publications of counters and progress while something happens.
_PUBLISH = 0.05
#: How the log tells what the ledger noticed.
_LEVELS = {"message_retried": "debug", "message_crashed": "error", "settle_failed": "error"}


class PollerLoop:
    """The actors of one poller, and the selector that wakes them."""

    def __init__(self, state: PollerState, slot: PollerSlot) -> None:
        self._state = state
        self._slot = slot
        self.dispatcher = Dispatcher(state)
        self.receiver = Receiver(state)
        self.heartbeater = Heartbeater(state)
        self.settler = Settler(state, self.heartbeater.denied)
        self.lookout = Lookout(state)
        self.emptiness = Emptiness(state)
        self.stopping = Stopping(state, self.dispatcher)
        self._published_at = 0.0
        self._news = True  #: something happened since the last publication
        self._warned_no_dead_letter = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(state.control.fileno(), selectors.EVENT_READ, "control")
        self._selector.register(state.sqs.fileno(), selectors.EVENT_READ, "sqs")
        self._watched: dict[int, HandlerLink] = {}

    def run(self) -> int:
        """Until drained; returns the exit code."""
        while (code := self.stopping.code) is None:
            self.wait(self.step(platform.now()))
        self.publish(platform.now())
        self.close()
        return code

    def step(self, now: float) -> float:
        """Let every actor act; returns the seconds till one of them wants to act again."""
        state = self._state
        wait = min(
            self.settler.step(now),
            self.heartbeater.step(now),
            self.dispatcher.step(now),
            self.receiver.step(now, target=self.dispatcher.target()),
            self.lookout.step(now),
            self.emptiness.step(now),
            self.stopping.step(now),
            state.book.step(now) if state.book is not None else float("inf"),
            state.sqs.due(now),  # after the actors, who may have sent something
        )
        self._tell_log()
        # Progress is shown to the supervisor well within the third of a visibility timeout it allows.
        idle = min(5.0, state.queue.visibility_timeout / 10)
        due = self._published_at + (_PUBLISH if self._news else idle)
        if now >= due:
            self.publish(now)
            return min(wait, idle)
        return min(wait, due - now)

    def wait(self, seconds: float) -> None:
        """Sleep until something happens, and take it in."""
        for key, mask in self._selector.select(seconds):
            now = platform.now()
            self._news = True
            if key.data == "sqs":
                self._take_answers(now)
            elif key.data == "control":
                for frame in self._state.control.receive():
                    self.order(frame, now)
                if self._state.control.closed:
                    self._selector.unregister(key.fd)
                    self.stopping.orphaned(now)
            else:
                self._stream(key.data, mask, now)
        now = platform.now()
        if self._state.sqs.due(now) <= 0:
            self._take_answers(now)
        self._watch_links()

    def _take_answers(self, now: float) -> None:
        for answer in self._state.sqs.answers():
            self._news = True
            self.answered(answer, now)

    def answered(self, answer: Answer, now: float) -> None:
        """An answer of SQS goes to the actor that asked."""
        if isinstance(answer.request, Receive):
            self.receiver.answered(answer, now)
            self.emptiness.received(answer, now)
            if answer.failure is None:
                self.lookout.received(len(answer.messages), now)
        elif answer.token == ASKED:
            self.emptiness.looked(answer, now)
        elif isinstance(answer.request, Look):
            self.lookout.answered(answer, now)
        elif isinstance(answer.token, Beat):
            self.heartbeater.answered(answer, answer.token, now)
        elif isinstance(answer.token, Batch):
            self.settler.answered(answer, answer.token, now)

    def order(self, frame: Frame, now: float) -> None:
        """A frame from the supervisor."""
        state, header = self._state, frame.header
        if frame.kind == ControlFrame.ATTACH:
            self._attach(frame, now)
        elif frame.kind == ControlFrame.DIED:
            link = self.dispatcher.died(header["handler"], _death(header), now)
            if link is not None:
                self._forget(link)
        elif frame.kind == ControlFrame.DETACH:
            if not self.dispatcher.detach(header["handler"]):
                state.control.send(ControlFrame.DETACHED, {"handler": header["handler"]})
        elif frame.kind == ControlFrame.DRAIN:
            self.stopping.begin(header["deadline"], now)
        elif frame.kind == ControlFrame.PAUSE:
            state.paused = True
        elif frame.kind == ControlFrame.RESUME:
            state.paused = False

    def _attach(self, frame: Frame, now: float) -> None:
        header, (stream_fd, slot_fd) = frame.header, frame.fds
        slot = HandlerSlot(platform.map_file(slot_fd), header["concurrency"])
        os.close(slot_fd)
        channel = Channel(socket.socket(fileno=stream_fd))
        link = HandlerLink(header["handler"], header["number"], pid=header["pid"], channel=channel, slot=slot, now=now)
        self._watched[stream_fd] = link
        self._selector.register(stream_fd, selectors.EVENT_READ, link)
        self.dispatcher.attach(link, now)
        self._state.control.send(ControlFrame.ATTACHED, {"link": header["link"]})

    def _stream(self, link: HandlerLink, mask: int, now: float) -> None:
        if mask & selectors.EVENT_WRITE:
            link.channel.flush()
        if mask & selectors.EVENT_READ:
            self.dispatcher.readable(link, now)

    def _watch_links(self) -> None:
        """Ask for writability only while something is pending; stop listening to ended streams; finish detaches."""
        for fd, link in list(self._watched.items()):
            if link.channel.closed:
                self._selector.unregister(fd)
                del self._watched[fd]
                continue
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if link.channel.pending else 0)
            if self._selector.get_key(fd).events != wanted:
                self._selector.modify(fd, wanted, link)
        for link in [one for one in self.dispatcher.links.values() if one.detaching and not one.held]:
            del self.dispatcher.links[link.uid]
            self._forget(link)
            self._state.control.send(ControlFrame.DETACHED, {"handler": link.uid})

    def _forget(self, link: HandlerLink) -> None:
        fd = link.channel.fileno()
        if self._watched.pop(fd, None) is not None:
            self._selector.unregister(fd)
        link.channel.close()

    def close(self) -> None:
        """Give the selector's descriptor back."""
        self._selector.close()

    # --- showing

    def publish(self, now: float) -> None:
        """Counters and progress into the slot."""
        state, ledger = self._state, self._state.ledger
        self._published_at, self._news = now, False
        gauges = {
            "ready": ledger.line.count,
            "running": sum(len(link.held) for link in self.dispatcher.links.values()),
            "in_flight": len(ledger.deliveries) - ledger.lost_held,
        }
        self._slot.count(state.counts | ledger.counts | gauges)
        kind = ChildState.DRAINING if state.draining else ChildState.BUSY if ledger.deliveries else ChildState.READY
        received_at, quiet = state.received_at, state.quiet_until
        if state.pace.look_due(now):
            self._look(now)
        trouble, since = state.health.worst
        self._slot.tell(
            pid=os.getpid(),
            state=kind,
            now=now,
            received_at=received_at,
            quiet_until=quiet,
            trouble=trouble or "",
            trouble_since=since,
        )
        if state.until_empty:
            evidence = self.emptiness.evidence
            self._slot.tell_emptiness(self.emptiness.awaits, busy_until=evidence.busy_until, since=evidence.since)

    def _look(self, now: float) -> None:
        """How fast it is, and what keeps it from being faster: into the slot, and at times into the log."""
        state, pace = self._state, self._state.pace
        worth_telling = pace.judge(now, done=state.ledger.counts["deleted"], cpu=state.cpu())
        trips = {"receive_seconds": round(pace.receive_trip, 6), "settle_seconds": round(pace.settle_trip, 6)}
        self._slot.show(limit=pace.limit, per_second=pace.per_second, cpu=pace.cpu, **trips)
        if worth_telling:
            figures = {"per_second": round(pace.per_second), "cpu": round(pace.cpu, 2), **trips}
            state.log.info("limit_reached", limit=pace.limit, hint=ADVICE[pace.limit], **figures)

    def _tell_health(self) -> None:
        """Each change of a queue's health is one line; the failures between are only counted."""
        health, log = self._state.health, self._state.log
        for change in health.changes:
            if change.failure is None:
                log.info(
                    "calls_recovered", action=change.action, after=round(change.seconds, 1), failures=change.failures
                )
            else:
                kind = change.failure.kind
                log.warning("calls_fail", action=change.action, kind=kind, why=str(change.failure), hint=HINTS[kind])
        health.changes.clear()

    def _tell_log(self) -> None:
        if self._state.health.changes:
            self._tell_health()
        events = self._state.ledger.events
        if not events:
            return
        for event in events:
            level = _LEVELS.get(event.name, "warning")
            if event.name == "no_dead_letter_queue":
                level = "debug" if self._warned_no_dead_letter else "warning"
                self._warned_no_dead_letter = True
            tell = getattr(self._state.log, level)
            tell(event.name, message_id=event.delivery.message_id, attempt=event.delivery.attempts, why=event.why)
        events.clear()


def _death(header: dict[str, Any]) -> Death:
    """What the supervisor says of a dead handler."""
    why = f"signal {header['signal']}" if header.get("signal") else f"exit code {header.get('code')}"
    told = {key: header.get(key) for key in ("signal", "code", "peak", "stack") if header.get(key) is not None}
    return Death(
        caused=bool(header.get("caused")),
        overdue=bool(header.get("overdue")),
        why=why,
        details=orjson.dumps(told).decode(),
    )
