"""Poller and handler processes of the supervisor's tests: they speak the control protocol and do nothing else.

What one does wrong is said by words in its queue's settings: `handler` for handlers, `url` for pollers. What they see
goes to standard output, one JSON object a line.
"""

from __future__ import annotations

import faulthandler
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson

from worker import platform
from worker.channel import PROTOCOL, Channel, Frame
from worker.protocol import ControlFrame
from worker.slots import ChildState, HandlerSlot, PollerSlot
from worker.telemetry import COUNTERS

#: Seconds between two signs of life of a poller, and two looks at its handlers' slots.
BEAT = 0.05


def say(event: str, **fields: Any) -> None:
    line = {"event": event, "pid": os.getpid(), "now": platform.now(), **fields}
    os.write(1, orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


class StandIn:
    """What both kinds do: SETUP, READY, frames, and the end of the control socket."""

    def __init__(self, fd: int) -> None:
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGTSTP):
            signal.signal(number, signal.SIG_IGN)
        self.control = Channel(socket.socket(fileno=fd))
        self.waiting: list[Frame] = []
        setup = self.next()
        assert setup.kind == ControlFrame.SETUP
        self.setup, self.fds = setup.header, setup.fds
        self.queue = next(q for q in self.setup["settings"]["queues"] if q["name"] == self.setup["queue"])
        faulthandler.register(signal.SIGUSR2, file=self.fds[-1], all_threads=True, chain=False)
        self.streams: list[Channel] = []

    def poll(self, seconds: float) -> list[Frame]:
        """Frames that have arrived, after at most `seconds`; the process ends with its control socket."""
        select.select([self.control], [], [], seconds)
        frames, self.waiting = self.waiting + self.control.receive(), []
        if self.control.closed and not frames:
            say("orphaned")
            os._exit(0)
        return frames

    def next(self) -> Frame:
        frames: list[Frame] = []
        while not frames:
            frames = self.poll(10)
        self.waiting = frames[1:]
        return frames[0]

    def tell(self, kind: ControlFrame, header: Any) -> None:
        self.control.send(kind, header)


class Handler(StandIn):
    """`words` of its settings: fail, crash_early, crash_on_attach, slow, hang, deaf, garbage, child, wrong_protocol."""

    def run(self) -> None:
        words = self.queue["handler"].split()
        self.slot = HandlerSlot(platform.map_file(self.fds[0]), self.setup["concurrency"])
        self.slot.tell(pid=os.getpid(), state=ChildState.STARTING)
        platform.die_with_parent(self.setup["parent"])
        say("handler_started", uid=self.setup["uid"], number=self.setup["number"])
        self.boot(words)
        self.tell(ControlFrame.READY, {"protocol": 99 if "wrong_protocol" in words else PROTOCOL})
        while True:
            for frame in self.poll(10):
                if frame.kind == ControlFrame.STOP:
                    say("stopped", uid=self.setup["uid"])
                    sys.exit(0)
                if frame.kind == ControlFrame.ATTACH:
                    self.attach(frame, words)

    def boot(self, words: list[str]) -> None:
        if "slow" in words:
            time.sleep(30)
        if "fail" in words:
            self.tell(ControlFrame.FAILED, {"reason": "no module named shop"})
            sys.exit(78)
        if "crash_early" in words:
            os._exit(3)
        if "garbage" in words:
            os.write(self.control.fileno(), b"\xff" * 64)
            time.sleep(30)
        if "deaf" in words:
            self.tell(ControlFrame.READY, {"protocol": PROTOCOL})
            os.close(self.control.fileno())
            time.sleep(30)

    def attach(self, frame: Frame, words: list[str]) -> None:
        self.streams.append(Channel(socket.socket(fileno=frame.fds[0])))
        self.tell(ControlFrame.ATTACHED, {"link": frame.header["link"]})
        say("attached", uid=self.setup["uid"], **frame.header)
        if "child" in words:
            ours = subprocess.Popen(["/bin/sleep", "60"])
            own_session = subprocess.Popen(["/bin/sleep", "60"], start_new_session=True)
            say("children", group=ours.pid, own_session=own_session.pid)
        if "hang" in words:
            now = platform.now()
            self.slot.start(0, 7, now=now, deadline=now + 0.1)
            signal.signal(signal.SIGUSR1, lambda *_: say("soft_timeout"))
            for _ in range(3000):
                time.sleep(0.01)
        if "busy" in words:
            self.slot.start(0, 7, now=platform.now(), deadline=platform.now() + 600)
            for _ in range(3000):
                time.sleep(0.01)


class Poller(StandIn):
    """`words` of its settings: fail, crash_early, silent_drain, unconfirmed, still, crash_on_drain."""

    def run(self) -> None:
        words = self.queue["url"].split()
        self.slot = PollerSlot(platform.map_file(self.fds[0]))
        self.slots: dict[int, HandlerSlot] = {}
        self.complained: set[int] = set()
        say("poller_started", number=self.setup["number"], epoch=self.setup["epoch"], **self.expected())
        self.beat()
        if "fail" in words:
            self.tell(ControlFrame.FAILED, {"reason": "no queue of that name"})
            sys.exit(78)
        if "crash_early" in words or ("crash_file" in words and Path(words[-1]).exists()):
            os._exit(4)
        self.tell(ControlFrame.READY, {"protocol": PROTOCOL})
        for _ in range(100_000):
            for frame in self.poll(BEAT):
                self.hear(frame, words)
            if "still" not in words:
                self.beat()
            self.judge()

    def expected(self) -> dict[str, Any]:
        return {"expected": self.setup["handlers_expected"]}

    def beat(self) -> None:
        now = platform.now()
        self.slot.tell(pid=os.getpid(), state=ChildState.READY, now=now, received_at=now, quiet_until=0.0)
        self.slot.count({**dict.fromkeys(COUNTERS, 0), "received": 10, "in_flight": 1})

    def judge(self) -> None:
        for uid, slot in self.slots.items():
            for entry in slot.running():
                if entry.deadline < platform.now() and uid not in self.complained:
                    self.complained.add(uid)
                    self.tell(ControlFrame.OVERDUE, {"handler": uid, "seq": entry.seq})

    def hear(self, frame: Frame, words: list[str]) -> None:
        if frame.kind == ControlFrame.ATTACH:
            self.streams.append(Channel(socket.socket(fileno=frame.fds[0])))
            memory = platform.map_file(frame.fds[1])
            os.close(frame.fds[1])
            self.slots[frame.header["handler"]] = HandlerSlot(memory, frame.header["concurrency"])
            self.tell(ControlFrame.ATTACHED, {"link": frame.header["link"]})
            say("poller_attached", **frame.header)
        elif frame.kind == ControlFrame.DIED:
            self.slots.pop(frame.header["handler"], None)
            say("died", **frame.header)
        elif frame.kind == ControlFrame.DETACH:
            say("detach", **frame.header)
            self.tell(ControlFrame.DETACHED, frame.header)
        elif frame.kind in (ControlFrame.PAUSE, ControlFrame.RESUME):
            say(ControlFrame(frame.kind).name.lower())
        elif frame.kind == ControlFrame.DRAIN:
            self.drain(frame, words)

    def drain(self, frame: Frame, words: list[str]) -> None:
        say("drain", **frame.header)
        busy = any(slot.running() for slot in self.slots.values())
        if "crash_on_drain" in words and self.setup["epoch"] == 1:
            os._exit(5)
        if "silent_drain" in words or busy:
            self.waiting_drain = True
            for _ in range(1000):
                for later in self.poll(BEAT):
                    self.hear_drain(later)
                if not any(slot.running() for slot in self.slots.values()) and "silent_drain" not in words:
                    break
        unconfirmed = 3 if "unconfirmed" in words else 0
        self.tell(ControlFrame.DRAINED, {"unconfirmed": unconfirmed})
        sys.exit(75 if unconfirmed else 0)

    def hear_drain(self, frame: Frame) -> None:
        if frame.kind == ControlFrame.DIED:
            self.slots.pop(frame.header["handler"], None)
            say("died", **frame.header)
        elif frame.kind == ControlFrame.DRAIN:
            say("drain", **frame.header)


if __name__ == "__main__":
    {"poller": Poller, "handler": Handler}[sys.argv[1]](int(sys.argv[2])).run()
