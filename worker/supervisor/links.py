"""Supervisor process: makes the private stream between a poller and a handler, and lets go of it in time.

Each side gets its end with ATTACH. Our copies stay open until both have said ATTACHED, because macOS loses descriptors
whose last copy is in flight; but the end of a dead process is closed at once, or the other would never see the end of
the stream.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field

from worker.channel import pair
from worker.protocol import ControlFrame
from worker.supervisor.process import Process
from worker.supervisor.tree import Child, Role

#: The two ends of a stream.
_BOTH = {Role.POLLER, Role.HANDLER}


@dataclass(slots=True, eq=False)
class Link:
    """Our copies of one stream's ends, and of the handler's slot, on their way to two processes."""

    poller: Child
    handler: Child
    poller_end: socket.socket
    handler_end: socket.socket
    slot: int  #: a descriptor of its own: the handler may be buried while the frame to the poller waits
    arrived: set[Role] = field(default_factory=set)  #: who needs our copy no more: it has its own, or it is dead


class Links:
    """The streams that are not established yet."""

    def __init__(self) -> None:
        self._open: dict[int, Link] = {}

    def __len__(self) -> int:
        return len(self._open)

    def make(self, number: int, *, poller: Child, handler: Child, slot: int) -> Link:
        """A new stream. Raises OSError if there are no descriptors left."""
        own_slot = os.dup(slot)
        try:
            poller_end, handler_end = pair()
        except OSError:
            os.close(own_slot)
            raise
        link = self._open[number] = Link(poller, handler, poller_end, handler_end, own_slot)
        return link

    def attached(self, number: int, child: Child) -> None:
        """`child` says that it has its end; one that says so of another's link is ignored."""
        link = self._open.get(number)
        if link is not None and child in (link.poller, link.handler):
            self._arrived(number, link, child.role)

    def dead(self, child: Child) -> None:
        """`child` is dead: its ends are closed, which ends the streams for those at the other ends."""
        for number, link in list(self._open.items()):
            if child is link.poller:
                link.poller_end.close()
            elif child is link.handler:
                link.handler_end.close()
            else:
                continue
            self._arrived(number, link, child.role)

    def close(self) -> None:
        """Close every copy."""
        for number, link in list(self._open.items()):
            self._arrived(number, link, Role.POLLER)
            self._arrived(number, link, Role.HANDLER)

    def _arrived(self, number: int, link: Link, role: Role) -> None:
        link.arrived.add(role)
        if link.arrived == _BOTH and number in self._open:
            del self._open[number]
            link.poller_end.close()
            link.handler_end.close()
            os.close(link.slot)


def send_attach(number: int, link: Link, *, to_poller: Process, to_handler: Process, concurrency: int) -> None:
    """Send ATTACH with its descriptors to both sides. A dead handler gets none, but its poller gets the slot."""
    handler = link.handler
    header = {"link": number, "handler": handler.uid, "number": handler.number, "pid": handler.pid}
    fds = (link.poller_end.fileno(), link.slot)
    to_poller.send(ControlFrame.ATTACH, {**header, "concurrency": concurrency}, fds=fds)
    # A spare learns its place here: when it was started, nobody knew whom it would replace.
    header = {"link": number, "poller": link.poller.number, "number": handler.number}
    to_handler.send(ControlFrame.ATTACH, header, fds=(link.handler_end.fileno(),))
