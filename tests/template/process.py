"""Test process: a real template process, with the test as its supervisor, and the handlers that it forks."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import orjson

from tests.conftest import eventually
from tests.handler.parts import Heard, parcel
from worker.channel import PROTOCOL, Channel, Frame, pair
from worker.platform import anonymous_file, map_file, now
from worker.protocol import ControlFrame, send_messages
from worker.settings import QueueSettings, Settings, to_json
from worker.slots import HandlerSlot

#: Sockets and pipes of two processes are compared without their numbers.
_NUMBERED = str.maketrans("", "", "0123456789")


class Controlled:
    """One process at the other end of a control socket, with the slot and the stacks that its SETUP brings."""

    def __init__(self, here: Any, *, settings: Settings, uid: int) -> None:
        self.control = Channel(here)
        self.uid = uid
        self._settings = settings
        self._slot_fd, self.stacks = anonymous_file("slot", HandlerSlot.size(1)), anonymous_file("stacks", 0)
        self.slot = HandlerSlot(map_file(self._slot_fd), 1)
        self._frames: list[Frame] = []

    def set_up(self, **changes: Any) -> None:
        header = {
            "settings": to_json(self._settings),
            "queue": "orders",
            "number": 0,
            "uid": self.uid,
            "parent": os.getpid(),
            "protocol": PROTOCOL,
            "concurrency": 1,
        }
        self.control.send(ControlFrame.SETUP, header | changes, fds=(self._slot_fd, self.stacks))

    def hear(self, *kinds: ControlFrame) -> Frame:
        """The next frame, which must be one of these kinds."""

        def heard() -> object:
            select.select([self.control], [], [], 0.05)
            self._frames += self.control.receive()
            return self._frames

        eventually(heard)
        frame = self._frames.pop(0)
        assert frame.kind in kinds, frame
        return frame

    def close(self) -> None:
        del self.slot
        self.control.close()
        os.close(self._slot_fd)
        os.close(self.stacks)


class Forked(Controlled):
    """A handler that a template forked."""

    pid = 0
    stream: Channel | None = None
    reaped = False

    def start(self) -> Forked:
        """SETUP, READY, ATTACH."""
        self.set_up()
        self.hear(ControlFrame.READY)
        here, there = pair()
        with there:
            self.control.send(ControlFrame.ATTACH, {"link": 1, "poller": 0, "number": 0}, fds=(there.fileno(),))
            self.hear(ControlFrame.ATTACHED)
        self.stream = Channel(here)
        return self

    def run(self, body: object, *, seq: int = 1) -> None:
        """Give it one message, and wait for the ack."""
        stream, said = self.stream, Heard()
        assert stream is not None
        send_messages(stream, [parcel(seq, orjson.dumps(body), expires=now() + 43_000)])

        def acked() -> bool:
            select.select([stream], [], [], 0.05)
            return seq in said.take(stream.receive()).acks

        eventually(acked)

    def end(self) -> int:
        """Wait for its end, as its parent; the exit code, or the negative signal."""
        found: list[tuple[int, int]] = []

        def ended() -> bool:
            found[:] = [os.waitpid(self.pid, os.WNOHANG)]
            return found[0][0] == self.pid

        eventually(ended)
        self.reaped = True
        return os.waitstatus_to_exitcode(found[0][1])

    def close(self) -> None:
        if self.pid and not self.reaped:
            os.kill(self.pid, signal.SIGKILL)
            self.end()
        if self.stream is not None:
            self.stream.close()
        super().close()


class TemplateProcess(Controlled):
    """`python -m worker.template` on an application of this source."""

    def __init__(self, folder: Path, source: str) -> None:
        (folder / "application.py").write_text(source)
        queue = QueueSettings(name="orders", handler="application:handle", url="https://x", preload=True)
        here, there = pair()
        super().__init__(here, settings=Settings(name="test", queues=(queue,), paths=(str(folder),)), uid=1)
        self.out, self.err = folder / "out", folder / "err"
        with there, self.out.open("ab") as out, self.err.open("ab") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "worker.template", str(there.fileno()), str(os.getpid())],
                pass_fds=(there.fileno(),),
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        self.handlers: list[Forked] = []

    def start(self) -> TemplateProcess:
        self.set_up()
        self.hear(ControlFrame.READY)
        return self

    def ask(self) -> Forked:
        """Ask for a handler."""
        here, there = pair()
        handler = Forked(here, settings=self._settings, uid=len(self.handlers) + 2)
        self.handlers.append(handler)
        with there:
            self.control.send(ControlFrame.FORK, {"uid": handler.uid}, fds=(there.fileno(),))
        return handler

    def named(self, handler: Forked) -> Forked:
        """Hear who the next forked handler is."""
        header = self.hear(ControlFrame.FORKED).header
        assert header["uid"] == handler.uid
        handler.pid = header["pid"]
        return handler

    def fork(self) -> Forked:
        return self.named(self.ask())

    def close(self) -> None:
        self.process.kill()
        self.process.wait(10)
        for handler in self.handlers:
            handler.close()
        super().close()


def descriptors(pid: int) -> Counter[str]:
    """How many descriptors of each kind a process has open."""
    kinds: Counter[str] = Counter()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            what = str(path.readlink())
            kinds[what if what.startswith("/") else what.translate(_NUMBERED)] += 1
    return kinds


def mappings(pid: int) -> Counter[str]:
    """How often a process has each of our anonymous files mapped."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return Counter(line.split("/memfd:")[1] for line in lines if "/memfd:" in line)
