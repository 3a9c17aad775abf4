"""Test process: the doors of a simulated process to the operating system. Its sockets and shared memory are real.

What waits gives way to the hub. What others can see of a process is a point at which it may be killed.
"""

from __future__ import annotations

import selectors
from collections.abc import Callable
from select import POLLIN, POLLOUT, poll
from socket import socket
from typing import Any

from tests.simulation.hub import Hub, Process
from tests.simulation.network import Line
from worker.channel import Channel
from worker.handler.links import Links
from worker.handler.stream import Stream
from worker.handler.stream_thread import StreamThread
from worker.leases import LeaseTable
from worker.message import Kind
from worker.poller.links import HandlerLink
from worker.slots import HandlerSlot
from worker.telemetry import Log


class SimulatedChannel(Channel):
    """A channel whose process closes it when it dies, and may be killed at each frame that it sends."""

    def __init__(self, sock: socket, process: Process) -> None:
        super().__init__(sock)
        self._process = process
        process.on_death.append(self.close)

    def send(self, kind: int, header: Any, blobs: Any = (), *, fds: tuple[int, ...] = ()) -> None:
        self._process.point("frame")
        super().send(kind, header, blobs, fds=fds)
        self._process.point("frame")


class SimulatedSelector:
    """What PollerLoop and the supervisor use of selectors.BaseSelector. Streams of clogged handlers stay silent."""

    def __init__(self, process: Process, line: Line | None = None) -> None:
        self._process = process
        self._line = line
        self._keys: dict[int, selectors.SelectorKey] = {}
        self._poll = poll()
        self.clogged: set[int] = set()  #: uids of handlers
        self.also: Callable[[], bool] = lambda: False  #: another reason to end a wait

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        key = self._keys[fd] = selectors.SelectorKey(fileobj, fd, events, data)
        if data != "sqs":
            self._poll.register(fd, _mask(events))
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        key = self._keys.pop(fd)
        self._poll.unregister(fd)
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        key = self._keys[fd] = selectors.SelectorKey(fileobj, fd, events, data)
        self._poll.modify(fd, _mask(events))
        return key

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys[fileobj if isinstance(fileobj, int) else fileobj.fileno()]

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        seconds = None if timeout is None or timeout == float("inf") else max(0.0, timeout)
        self._process.wait(seconds, self.ready)
        events = self._events()
        if len(events) > 1:
            self._process.hub.chance.shuffle(events)  # the kernel promises no order
        return events

    def close(self) -> None:
        """Nothing is open."""

    def uids(self) -> set[int]:
        """The handlers whose streams are watched."""
        return {key.data.uid for key in self._keys.values() if isinstance(key.data, HandlerLink)}

    def ready(self) -> bool:
        """Whether select() would return something at once."""
        return bool(self._events()) or self.also()

    def _events(self) -> list[tuple[selectors.SelectorKey, int]]:
        found = []
        for fd, mask in self._poll.poll(0):
            key = self._keys[fd]
            if not (isinstance(key.data, HandlerLink) and key.data.uid in self.clogged):
                events = selectors.EVENT_READ if mask & ~POLLOUT else 0
                found.append((key, events | (selectors.EVENT_WRITE if mask & POLLOUT else 0)))
        line = self._line
        if line is not None and line.next_arrival() <= self._process.hub.now:
            found.append((self._keys[line.fileno()], selectors.EVENT_READ))
        return found


def _mask(events: int) -> int:
    return (POLLIN if events & selectors.EVENT_READ else 0) | (POLLOUT if events & selectors.EVENT_WRITE else 0)


class SimulatedLinks(Links):
    """Waits by the hub in the main thread; the stream thread only looks."""

    def __init__(self, control: Channel, stream: Stream, process: Process) -> None:
        super().__init__(control, stream)
        self._process = process
        self.clogged = False  #: nothing is read from the stream
        self._open = True

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        self._register()
        if self._process.inside:
            self._process.wait(timeout, self.ready)
            return self._events()
        events = self._events()
        if not events:
            # The stream thread would sleep here; the hub calls it again when there is something.
            self.ring()
            events = self._events()
        return events

    def ready(self) -> bool:
        """Whether wait() would return something at once."""
        return bool(self._events())

    def _events(self) -> list[tuple[int, int]]:
        events = self._poll.poll(0)
        return [one for one in events if one[0] != self._stream_fd] if self.clogged else events

    def finish(self, patience: float) -> None:
        hub = self._process.hub
        end = hub.now + patience
        while hub.now < end and any(one.pending for one in (self._control, self._stream.channel) if one is not None):
            self._process.wait(0.005)
            for channel in (self._control, self._stream.channel):
                if channel is not None:
                    channel.flush()
        self.close()

    def close(self) -> None:
        if self._open:
            self._open = False
            super().close()


class SimulatedStreamThread(StreamThread):
    """Never started: its process calls step() when the thread would look."""

    def __init__(self, links: Links, stream: Stream, process: Process) -> None:
        super().__init__(links, stream)
        self._process = process
        self.lent = False  #: user code runs
        self.talking = False  #: it runs long, so the thread has taken over
        self.on_lend: Callable[[int], None] = lambda _: None

    @property
    def number(self) -> int:
        """Of the message that runs."""
        return self._lent

    def lend(self) -> None:
        super().lend()
        self.lent = True
        self.on_lend(self._lent)

    def reclaim(self) -> None:
        self._process.point("reclaim")
        self.lent = self.talking = False
        super().reclaim()


class FragileTable(LeaseTable):
    """A lease table whose writer may be killed before and after each write."""

    hub: Hub
    on_add: Callable[[str], None]
    on_release: Callable[[str], None]

    def add(self, **record: Any) -> int:
        self.hub.point("add")
        place = super().add(**record)
        self.on_add(record["receipt"])
        return place

    def dispatch(self, place: int, handler: int) -> None:
        self.hub.point("dispatch")
        super().dispatch(place, handler)
        self.hub.point("dispatch")

    def ready(self, place: int, *, attempts: int, crashes: int) -> None:
        self.hub.point("ready")
        super().ready(place, attempts=attempts, crashes=crashes)

    def settle(self, place: int, kind: int) -> None:
        self.hub.point("settle")
        super().settle(place, kind)
        if kind == Kind.RETRY:
            self.on_release(self._read(place).receipt)
        self.hub.point("settle")

    def remove(self, place: int) -> None:
        self.hub.point("remove")
        super().remove(place)


class FragileSlot(HandlerSlot):
    """The slot of a handler that may be killed before and after it names a message, and its outcome."""

    hub: Hub
    on_start: Callable[[int], None]
    on_finish: Callable[[], None]

    def start(self, place: int, seq: int, **fields: Any) -> None:
        self.hub.point("start")
        super().start(place, seq, **fields)
        self.on_start(place)
        self.hub.point("start")

    def finish(self, place: int, seq: int, **fields: Any) -> None:
        self.hub.point("finish")
        super().finish(place, seq, **fields)
        self.on_finish()
        self.hub.point("finish")


class TracingLog(Log):
    """Log lines go into the trace."""

    def __init__(self, hub: Hub, name: str) -> None:
        super().__init__("debug", human=False)
        self._hub = hub
        self._name = name

    def _open(self) -> None:
        """Nothing is written, so nothing is opened."""

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        if level != "debug":
            shown = " ".join(f"{name}={value}" for name, value in fields.items() if name != "traceback")
            self._hub.tell(f"{self._name} {event} {shown}")
