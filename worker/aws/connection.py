"""Poller process: one connection to the endpoint, which never blocks: it goes on whenever its socket is ready."""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import ssl
from dataclasses import replace
from enum import Enum, auto
from typing import Any

from worker.aws.answers import AnswerReader, BadAnswer, Reply

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE

#: What getaddrinfo gives.
Address = tuple[Any, ...]


class Phase(Enum):
    """How far a connection is."""

    CONNECTING = auto()
    GREETING = auto()  #: TLS
    OPEN = auto()
    CLOSED = auto()


class Broken(Exception):
    """The connection is of no use any more; `code` is what botocore calls it, `unsent` that no byte was taken."""

    def __init__(self, code: str, text: str, *, unsent: bool = False) -> None:
        super().__init__(text)
        self.code = code
        self.unsent = unsent


class Connection:
    """Watches its socket on a selector, with `owner` as the data of the key."""

    def __init__(
        self, selector: selectors.BaseSelector, *, context: ssl.SSLContext | None, host: str, buffer: bytearray
    ) -> None:
        """`context` is None for plain HTTP; `host` is whose certificate it has to be; `buffer` may be shared."""
        self._selector = selector
        self._context = context
        self._host = host
        self._view = memoryview(buffer)
        self._reader = AnswerReader()
        self._out: memoryview | None = None
        self._events = 0
        self._socket: socket.socket | None = None
        self._watched = -1  #: the socket's number, also when ssl has closed it
        self._session: ssl.SSLSession | None = None
        self.owner: object = None
        self.phase = Phase.CLOSED
        self.address: Address = ()

    @property
    def begun(self) -> bool:
        """Whether a byte of the answer has come."""
        return self._reader.begun

    @property
    def session(self) -> ssl.SSLSession | None:
        """What a later connection resumes; TLS 1.3 servers hand it out after the first answer."""
        return self._socket.session if isinstance(self._socket, ssl.SSLSocket) else None

    @property
    def resumed(self) -> bool:
        """Whether this connection resumed the session of an earlier one."""
        return isinstance(self._socket, ssl.SSLSocket) and bool(self._socket.session_reused)

    def open(self, address: Address, session: ssl.SSLSession | None) -> None:
        """Begin to connect. Raises Broken if that fails at once."""
        self.close()
        family, kind, protocol, _, where = address
        self.address = address
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:  # no IPv6 here, or no descriptor left
            raise Broken("EndpointConnectionError", str(error)) from error
        try:
            sock.setblocking(False)
            # A head and its body are one write; without this a larger one would wait 40 ms for an acknowledgement.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            failed = sock.connect_ex(where)
        except OSError as error:
            sock.close()
            raise Broken("EndpointConnectionError", str(error)) from error
        if failed not in (0, errno.EINPROGRESS):
            sock.close()
            raise Broken("EndpointConnectionError", os.strerror(failed))
        self._socket, self.phase, self._events, self._session = sock, Phase.CONNECTING, WRITE, session
        self._watched = sock.fileno()
        self._selector.register(self._watched, WRITE, self.owner)

    def greet(self) -> bool:
        """Go on until it is open, as far as it goes now; whether it is. Raises Broken."""
        assert self._socket is not None  # noqa: S101 - only what is connecting is watched
        try:
            if self.phase is Phase.CONNECTING:
                if failed := self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise OSError(failed, os.strerror(failed))
                self.phase = Phase.GREETING
                if self._context is not None:
                    self._socket = self._context.wrap_socket(
                        self._socket, server_hostname=self._host, do_handshake_on_connect=False, session=self._session
                    )
            if isinstance(self._socket, ssl.SSLSocket):
                self._socket.do_handshake()
        except ssl.SSLWantReadError:
            self._watch(READ)
            return False
        except ssl.SSLWantWriteError:
            self._watch(WRITE)
            return False
        except (ssl.SSLError, ValueError) as error:  # ValueError: a host name that no certificate can have
            raise Broken("SSLError", str(error)) from error
        except OSError as error:
            raise Broken("EndpointConnectionError", error.strerror or str(error)) from error
        self.phase = Phase.OPEN
        self._watch(READ)
        return True

    def send(self, data: bytes) -> None:
        """Send a request, as much of it as goes now; the rest goes with advance(). Raises Broken."""
        sent = self._write(memoryview(data), first=True)
        if sent < len(data):
            self._out = memoryview(data)[sent:]
            self._watch(READ | WRITE)

    def advance(self) -> Reply | None:
        """Send and read what goes now; the answer once it is whole. Raises Broken."""
        if self._out is not None:
            sent = self._write(self._out, first=False)
            self._out = self._out[sent:] if sent < len(self._out) else None
        reply = self._read()
        if reply is not None and self._out is not None:
            return replace(reply, reusable=False)  # the next request would follow half of this one
        return reply

    def alive(self) -> bool:
        """Whether it may be used again: it is open, and nothing came that nobody asked for, nor its end."""
        try:
            return self._read() is None and not self.begun
        except Broken:
            return False

    def close(self) -> None:
        """Close it; more than once does no harm."""
        sock, self._socket = self._socket, None
        self.phase = Phase.CLOSED
        if sock is not None:
            with contextlib.suppress(KeyError):
                self._selector.unregister(self._watched)
            sock.close()

    def _watch(self, events: int) -> None:
        if events != self._events and self._socket is not None:
            self._events = events
            self._selector.modify(self._socket.fileno(), events, self.owner)

    def _write(self, data: memoryview, *, first: bool) -> int:
        assert self._socket is not None  # noqa: S101 - a closed connection is nobody's
        try:
            return self._socket.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0
        except OSError as error:
            raise Broken("ConnectionClosedError", str(error), unsent=first) from error

    def _read(self) -> Reply | None:
        sock = self._socket
        assert sock is not None  # noqa: S101 - as above
        view = self._view
        self._watch(READ if self._out is None else READ | WRITE)
        while True:
            try:
                count = sock.recv_into(view)
            except (BlockingIOError, ssl.SSLWantReadError):
                return None
            except ssl.SSLWantWriteError:
                self._watch(READ | WRITE)
                return None
            except OSError as error:
                raise Broken("ConnectionClosedError", str(error)) from error
            if count == 0:
                raise Broken("ConnectionClosedError", "an answer was cut short" if self.begun else "no answer came")
            try:
                reply = self._reader.feed(view[:count])
            except BadAnswer as error:
                raise Broken("ResponseParserError", str(error)) from error
            if reply is not None:
                return reply
            if count < len(view) and self._context is None:
                return None  # the kernel has no more; TLS may still hold some
