"""Test process: the parts of a handler process, put together in the test's own, with real sockets and real memory."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from worker.channel import Channel, Frame, pair
from worker.handler.endings import Endings
from worker.handler.links import Links
from worker.handler.loop import Loop
from worker.handler.signals import Alarm
from worker.handler.stream import Stream
from worker.handler.stream_thread import StreamThread
from worker.message import Message
from worker.protocol import ControlFrame, Outcome, Parcel, StreamFrame, read_outcomes, send_messages
from worker.slots import HandlerSlot
from worker.telemetry import Log

#: platform.now() of the manual clock at first; 12 hours later every parcel expires.
START = 1000.0
EXPIRES = START + 43_195.0
TIMEOUT = 300.0


def parcel(seq: int, body: bytes = b"{}", **fields: Any) -> Parcel:
    """A message as a poller sends it."""
    known: dict[str, Any] = {
        "attempt": 1,
        "expires": EXPIRES,
        "id": f"id-{seq}",
        "attributes": {"ApproximateReceiveCount": "1"},
        "message_attributes": {},
    }
    return Parcel(seq=seq, body=body, **{**known, **fields})


@dataclass
class Heard:
    """What a poller read from a stream."""

    frames: list[Frame] = field(default_factory=list)
    hellos: list[dict[str, list[int]]] = field(default_factory=list)
    acks: list[int] = field(default_factory=list)
    others: list[Outcome] = field(default_factory=list)
    returned: list[int] = field(default_factory=list)
    outcome_frames: int = 0

    def take(self, frames: list[Frame]) -> Heard:
        """Add frames."""
        self.frames += frames
        for frame in frames:
            if frame.kind == StreamFrame.HELLO:
                self.hellos.append(frame.header)
            elif frame.kind == StreamFrame.RETURNED:
                self.returned += frame.header
            elif frame.kind == StreamFrame.OUTCOMES:
                acks, others = read_outcomes(frame)
                self.acks += acks
                self.others += others
                self.outcome_frames += 1
        return self


class Clock:
    """Time that moves only when it is told to."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> float:
        return self.time


class Parts:
    """A handler without its process. The test is supervisor (`control`) and poller (`poller`)."""

    def __init__(self, function: Callable[[Message], Any], *, concurrency: int = 1) -> None:
        here, there = pair()
        self.control = Channel(here)
        self.clock = Clock()
        self.memory = mmap.mmap(-1, HandlerSlot.size(concurrency))
        self.slot = HandlerSlot(self.memory, concurrency)
        self.stream = Stream()
        self.links = Links(Channel(there), self.stream)
        self.thread = StreamThread(self.links, self.stream)
        self.alarm = Alarm()
        self.endings = Endings(lambda: Log(human=False), self.links, self.stream)
        self.pollers: list[Channel] = []
        self.errors: list[Exception] = []  #: that ended the stream thread, where a test starts it
        self._finished = False
        self.loop = Loop(
            function,
            queue="orders",
            timeout=TIMEOUT,
            slot=self.slot,
            links=self.links,
            stream=self.stream,
            thread=self.thread,
            alarm=self.alarm,
            endings=self.endings,
            clock=self.clock,
        )

    @property
    def poller(self) -> Channel:
        """The newest poller's end of the stream."""
        return self.pollers[-1]

    def send_attach(self, link: int = 1) -> None:
        """As a supervisor does it; the handler has yet to see it."""
        here, there = pair()
        self.control.send(ControlFrame.ATTACH, {"link": link, "poller": 0}, fds=(there.fileno(),))
        there.close()
        self.pollers.append(Channel(here))

    def attach(self, link: int = 1) -> None:
        """A new stream, and its hello still unread."""
        self.send_attach(link)
        self.serve()

    def serve(self) -> None:
        """Let the handler take what has arrived."""
        self.links.handle(self.links.wait(0.0))

    def step(self) -> float | None:
        """One turn of the main loop: what has arrived, then its messages."""
        self.serve()
        return self.loop.step(self.clock())

    def give(self, *parcels: Parcel) -> None:
        """Send messages and let the loop run them."""
        send_messages(self.poller, parcels)
        self.step()

    def heard(self) -> Heard:
        """What the newest poller can read now."""
        return Heard().take(self.poller.receive())

    def finish(self, patience: float) -> None:
        """As a handler does it at its end."""
        self.links.finish(patience)
        self._finished = True

    def close(self) -> None:
        """Close every descriptor."""
        if not self._finished:
            self.links.close()
        for channel in (self.control, *self.pollers):
            channel.close()
