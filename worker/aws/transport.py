"""Poller process: requests over kept-alive connections of which none blocks; the poller's loop drives them."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl

from worker import platform
from worker.aws.addresses import Addresses
from worker.aws.connection import READ
from worker.aws.endpoint import Endpoint
from worker.aws.lane import Lane
from worker.aws.line import Line, Route
from worker.aws.refreshing import Refreshing, Source
from worker.aws.signing import Signer

#: Bytes read at once, by all connections into one buffer: an answer of ten small messages comes whole.
_BUFFER = 256 * 1024


class Transport:
    """Of one poller and one endpoint. No method may be called from another thread."""

    def __init__(self, endpoint: Endpoint, source: Source) -> None:
        """`source` gives the credentials. Raises OSError for a CA bundle that is none."""
        context = _context(endpoint.bundle) if endpoint.tls else None
        # An epoll or a kqueue can itself be waited for: one descriptor stands for all connections.
        self._selector: selectors.EpollSelector = selectors.DefaultSelector()  # type: ignore[assignment]  # typed as its parent
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._selector.register(self._woken, READ, None)
        self.route = Route(
            url=endpoint.url,
            host=endpoint.host,
            selector=self._selector,
            context=context,
            signer=Signer(
                host=endpoint.authority, path=endpoint.path, region=endpoint.region, service=endpoint.service
            ),
            addresses=Addresses(endpoint.host, endpoint.port, wake=self._wake),
            credentials=Refreshing(source, wake=self._wake),
            buffer=bytearray(_BUFFER),
        )
        self._lanes: list[Lane] = []

    def lane(self, most: int) -> Lane:
        """A new lane of up to so many connections."""
        self._lanes.append(Lane(self.route, most))
        return self._lanes[-1]

    def fileno(self) -> int:
        """Readable when drive() has something to do."""
        return self._selector.fileno()

    def due(self, now: float) -> float:
        """Seconds till drive() has something to do even if nothing is readable."""
        return min(lane.due(now) for lane in self._lanes)

    def drive(self) -> None:
        """Send, read and give up what goes now; each exchange that ends is told so."""
        for key, _ in self._selector.select(0):
            line: Line | None = key.data
            if line is None:
                self._take_news()
            else:
                line.ready(line)
        now = platform.now()
        for lane in self._lanes:
            lane.expire(now)

    def close(self) -> None:
        """Close all connections. A poller's end does it as well.

        The selector first: after a fork it is shared, and to take the connections off it would deafen the parent.
        """
        self._selector.close()
        for lane in self._lanes:
            lane.close()
        self._woken.close()
        self._waker.close()

    def _take_news(self) -> None:
        """A thread has found addresses or credentials."""
        with contextlib.suppress(BlockingIOError):
            self._woken.recv(4096)
        for lane in self._lanes:
            lane.wake()

    def _wake(self) -> None:
        # Full: the loop is awake. Closed: nobody waits any more.
        with contextlib.suppress(BlockingIOError, OSError):
            self._waker.send(b"!")


def _context(bundle: str) -> ssl.SSLContext:
    """TLS 1.2 or later, certificates and names checked."""
    context = ssl.create_default_context(cafile=bundle)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
