"""Supervisor process: one real child: its control socket, its slot, and the file its stacks go to."""

from __future__ import annotations

import os
import selectors
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from mmap import mmap
from typing import Any, TypeVar

from worker import platform
from worker.channel import Broken, Channel, Frame
from worker.protocol import ControlFrame
from worker.supervisor.tree import Child

#: Bytes of a stack dump that are read: a hundred threads write no more.
_DUMP = 256 * 1024

_Facts = TypeVar("_Facts")


@dataclass(frozen=True, slots=True)
class Ended:
    """Instead of a frame: the control socket is over, or brought something that is none."""

    garbage: str = ""


class Process:
    """Three descriptors of one child, from its start until nobody asks for what it left."""

    def __init__(self, child: Child, *, selector: selectors.BaseSelector, control: Channel, slot: int, stacks: int):
        self.child = child
        self.slot = slot
        self.dead = False
        self.control = control
        self._stacks = stacks
        self._selector = selector
        self._waits_for = selectors.EVENT_READ  #: 0 once the control socket is over
        selector.register(control, self._waits_for, self)

    def send(self, kind: ControlFrame, header: Any, *, fds: tuple[int, ...] = ()) -> None:
        """Queue one frame, unless it is dead."""
        if not self.dead:
            self.control.send(kind, header, fds=fds)
            self.wait()

    def wait(self) -> None:
        """Wait for room to write exactly while something waits to be written."""
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self.control.pending else 0)
        if self._waits_for and self._waits_for != wanted:
            self._waits_for = wanted
            self._selector.modify(self.control, wanted, self)

    def ready(self, mask: int) -> Iterator[Frame | Ended]:
        """The selector says so: write what waits, and yield what has arrived."""
        if mask & selectors.EVENT_WRITE:
            self.control.flush()
            self.wait()
        if mask & selectors.EVENT_READ:
            yield from self.read()

    def read(self) -> Iterator[Frame | Ended]:
        """What has arrived on the control socket."""
        if not self._waits_for:
            return
        try:
            frames = self.control.receive()
        except (Broken, ValueError, LookupError) as error:
            self.silence()
            yield Ended(f"{type(error).__name__}: {error}")
            return
        for frame in frames:
            for fd in frame.fds:
                os.close(fd)  # no child sends any
            yield frame
        if self.control.closed:
            self.silence()
            yield Ended()

    def silence(self) -> None:
        """Listen no more: at the end of the socket, or at its own."""
        if self._waits_for:
            self._waits_for = 0
            self._selector.unregister(self.control)

    def hang_up(self) -> None:
        """It is dead and has been heard to the end: its control socket goes, what it left stays."""
        self.silence()
        self.control.close()

    def look(self, read: Callable[[mmap], _Facts], nothing: _Facts) -> _Facts:
        """What its slot says; `nothing` if that is nonsense (user code lives beside the writer), or cannot be read now.

        The slot is mapped for the moment of looking, because a mapping costs a descriptor and we look rarely.
        """
        try:
            return read(platform.map_file(self.slot))
        except (ValueError, TypeError, LookupError, OSError):
            return nothing

    def stacks(self) -> str:
        """What its dumps have left. The offset is shared with it, so the next dump starts at the beginning again."""
        text = os.pread(self._stacks, _DUMP, 0)
        os.ftruncate(self._stacks, 0)
        os.lseek(self._stacks, 0, os.SEEK_SET)
        return text.decode(errors="replace")

    def set_up(self, setup: Mapping[str, Any], lease_table: tuple[int, ...]) -> None:
        """Send SETUP with the descriptors that belong to it."""
        self.send(ControlFrame.SETUP, setup, fds=(self.slot, *lease_table, self._stacks))

    def close(self) -> None:
        """Close everything."""
        self.hang_up()
        os.close(self.slot)
        os.close(self._stacks)
