"""Test process: a real handler process, with the test as its supervisor and poller, over real sockets."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from tests.conftest import eventually
from tests.handler.parts import Heard, parcel
from worker.channel import PROTOCOL, Channel, Frame, pair
from worker.platform import anonymous_file, map_file, now
from worker.protocol import ControlFrame, Parcel, send_messages
from worker.settings import QueueSettings, Settings, to_json
from worker.slots import HandlerSlot

ROOT = Path(__file__).parents[2]


class HandlerProcess:
    """One `python -m worker.handler`, started as a supervisor does it."""

    def __init__(self, *, handler: str = "tests.handler.user_code:handle", timeout: float = 300.0, **keys: Any) -> None:
        here, there = pair()
        fd = there.fileno()
        self.output, self._output = os.pipe()
        self.errors, self._errors = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "worker.handler", str(fd), str(os.getpid())],
            pass_fds=(fd,),
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._errors,
            env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        )
        there.close()
        os.close(self._output)
        os.close(self._errors)
        self.control = Channel(here)
        self.pollers: list[Channel] = []
        self._controls: list[Frame] = []
        self.said = Heard()
        queue = QueueSettings(name="orders", handler=handler, url="https://x", handler_timeout=timeout, **keys)
        self._places = queue.places
        slot, self.stacks = anonymous_file("slot", HandlerSlot.size(queue.places)), anonymous_file("stacks", 0)
        self._slot_fd = slot
        self.slot = HandlerSlot(map_file(slot), queue.places)
        self._settings = Settings(name="test", queues=(queue,), paths=(str(ROOT),))
        self._seq = 0
        self._closed = False

    def set_up(self, **changes: Any) -> None:
        """Send SETUP; `changes` replace fields of its header."""
        header = {
            "settings": to_json(self._settings),
            "queue": "orders",
            "number": 0,
            "uid": 1,
            "parent": os.getpid(),
            "protocol": PROTOCOL,
            "concurrency": self._places,
        }
        self.control.send(ControlFrame.SETUP, header | changes, fds=(self._slot_fd, self.stacks))

    def attach(self, link: int = 1) -> None:
        """Send ATTACH; the newest poller is the one of `hear` and `give`."""
        here, there = pair()
        self.control.send(ControlFrame.ATTACH, {"link": link, "poller": 0}, fds=(there.fileno(),))
        there.close()
        self.pollers.append(Channel(here))
        self.said = Heard()

    def start(self) -> HandlerProcess:
        """Set up, wait for READY, attach, wait for the hello."""
        self.set_up()
        self.hear_control(ControlFrame.READY)
        self.attach()
        self.hear(lambda said: said.hellos)
        self.hear_control(ControlFrame.ATTACHED)
        return self

    def do(self, what: str, **arguments: Any) -> int:
        """Send one message that makes user code do something; gives its sequence."""
        self._seq += 1
        body = orjson.dumps({"do": what, **{name: _plain(value) for name, value in arguments.items()}})
        self.give(parcel(self._seq, body, expires=now() + 43_000))
        return self._seq

    def give(self, *parcels: Parcel) -> None:
        """Send messages."""
        channel = self.pollers[-1]
        send_messages(channel, parcels)
        eventually(channel.flush)

    def hear(self, enough: Callable[[Heard], object]) -> Heard:
        """Read the newest stream until it is enough."""
        channel = self.pollers[-1]

        def heard_enough() -> object:
            select.select([channel], [], [], 0.05)
            return enough(self.said.take(channel.receive()))

        eventually(heard_enough)
        return self.said

    def acked(self, *seqs: int) -> None:
        """Wait for acks."""
        self.hear(lambda said: set(seqs) <= set(said.acks))

    def hear_control(self, kind: ControlFrame) -> Frame:
        """Read the control socket until such a frame has come, one that was not asked for before."""

        def heard() -> object:
            select.select([self.control], [], [], 0.05)
            self._controls += self.control.receive()
            return any(frame.kind == kind for frame in self._controls)

        eventually(heard)
        while self._controls[0].kind != kind:
            del self._controls[0]
        return self._controls.pop(0)

    def rest(self) -> Heard:
        """What is in the newest stream, to its end: after a death."""
        channel = self.pollers[-1]
        return self.hear(lambda _said: channel.closed)

    def code(self) -> int:
        """Wait for the end; the exit code, or the negative signal."""
        return self.process.wait(10)

    def stack_text(self) -> str:
        """What faulthandler wrote."""
        return os.pread(self.stacks, 65536, 0).decode()

    def close(self) -> tuple[str, str]:
        """Kill what is left; what was written to standard output and error. Once more does nothing."""
        if self._closed:
            return "", ""
        self._closed = True
        self.process.kill()
        self.process.wait(10)
        del self.slot  # its mapping holds a descriptor
        for channel in (self.control, *self.pollers):
            channel.close()
        for fd in (self._slot_fd, self.stacks):
            os.close(fd)
        texts = []
        for fd in (self.output, self.errors):
            with os.fdopen(fd, errors="replace") as file:
                texts.append(file.read())
        return texts[0], texts[1]


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
