"""SQS server process: one HTTP/1.1 connection: reads requests, writes each answer in one piece."""

import asyncio
import ipaddress
import socket
import struct
from typing import Final, Protocol, cast

from worker.testing.sqs_server.broker import Caller
from worker.testing.sqs_server.http_head import HEAD_BYTES, BadRequest, Head, read_head, write_head
from worker.testing.sqs_server.replies import Carriage, Reply

_END: Final = b"\r\n\r\n"
#: SO_LINGER with a time of 0: closing sends a reset.
_RESET: Final = struct.pack("ii", 1, 0)


class Application(Protocol):
    """What a connection gives its requests to."""

    def handle(self, connection: "Connection", head: Head, body: bytes) -> Reply | None:
        """The reply of a request, or None: then `connection.send` is called later."""

    def ended(self, connection: "Connection") -> None:
        """The client has gone; `connection.closed` is true."""

    def sent(self, connection: "Connection", reply: Reply, *, complete: bool) -> None:
        """An answer was handed to the kernel, or (not `complete`) could not be, or was lost on purpose."""

    def second(self) -> int:
        """The wall clock, for the Date header."""


class Connection(asyncio.Protocol):
    """One client. A request is read only after the answer to the one before was sent."""

    def __init__(self, application: Application, number: int) -> None:
        self._application = application
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._head: Head | None = None
        self._busy = False
        self._keep_alive = True
        self._loop = asyncio.get_running_loop()
        self._count = 0
        self._id = f"{number:08x}-0000-4000-a000-"
        self.caller = Caller(connection=number)
        self.closed = False
        #: What the request in hand waits for: the application's to use.
        self.pending: object = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the connection is there (TCP_NODELAY is asyncio's default)."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the connection has gone."""
        del exc
        self.closed = True
        self._application.ended(self)

    def from_loopback(self) -> bool:
        """Whether the client is on this machine."""
        peer = self._transport.get_extra_info("peername") if self._transport is not None else None
        return peer is not None and ipaddress.ip_address(peer[0]).is_loopback

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes came."""
        self._buffer = self._buffer + data if self._buffer else data
        while self._buffer and not self._busy and not self.closed:
            if not self._next_request():
                return

    def _next_request(self) -> bool:
        """Handles the next request of the buffer; False while it is incomplete."""
        buffer = self._buffer
        head = self._head
        if head is None:
            end = buffer.find(_END)
            if end < 0:
                if len(buffer) > HEAD_BYTES:
                    self._refuse(BadRequest(431, "the head is too long"))
                return False
            try:
                head = self._head = read_head(buffer[:end])
            except BadRequest as error:
                self._refuse(error)
                return False
            buffer = self._buffer = buffer[end + 4 :]
            if head.expects_continue and len(buffer) < head.length and self._transport is not None:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if len(buffer) < head.length:
            return False
        body, self._buffer = buffer[: head.length], buffer[head.length :]
        self._head = None
        self._keep_alive = head.keep_alive
        self._busy = True
        self._count += 1
        self.caller.request = self._count
        reply = self._application.handle(self, head, body)
        if reply is not None:
            self.send(reply)
        return True

    def _refuse(self, error: BadRequest) -> None:
        self._keep_alive = False
        self._buffer = b""
        self._busy = True
        self.send(Reply(error.status, str(error).encode(), content_type="text/plain"))

    def send(self, reply: Reply) -> None:
        """Sends the answer of the request in hand, now or after its delay."""
        if reply.delay > 0:
            delay, reply.delay = reply.delay, 0.0
            self._loop.call_later(delay, self._resume, reply)
            return
        transport = self._transport
        if self.closed or transport is None or transport.is_closing():
            self._application.sent(self, reply, complete=False)
            return
        if reply.carriage is not Carriage.WHOLE:
            self._send_badly(transport, reply)
            return
        transport.write(self._bytes(reply))
        self._application.sent(self, reply, complete=True)
        self._done()

    def _resume(self, reply: Reply) -> None:
        """Sends a delayed answer; requests that came meanwhile are read now."""
        self.send(reply)
        while self._buffer and not self._busy and not self.closed and self._next_request():
            pass

    def _done(self) -> None:
        self._busy = False
        if not self._keep_alive and self._transport is not None:
            self._transport.close()

    def _bytes(self, reply: Reply) -> bytes:
        head = write_head(
            reply.status,
            len(reply.body),
            request_id=f"{self._id}{self._count:012x}",
            second=self._application.second(),
            content_type=reply.content_type,
            query_error=reply.query_error,
            keep_alive=self._keep_alive,
        )
        return head + reply.body

    def _send_badly(self, transport: asyncio.Transport, reply: Reply) -> None:
        if reply.carriage is Carriage.TRICKLE:
            self._trickle(self._bytes(reply), reply)
            return
        self._application.sent(self, reply, complete=False)
        if reply.carriage is Carriage.SILENCE:
            transport.pause_reading()
        elif reply.carriage is Carriage.CLOSE:
            transport.close()
        else:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            transport.abort()

    def _trickle(self, left: bytes, reply: Reply) -> None:
        """Sends a tenth of a second's worth, at least one byte, and comes back for the rest."""
        transport = self._transport
        if self.closed or transport is None or transport.is_closing():
            self._application.sent(self, reply, complete=False)
            return
        piece = max(1, int(reply.rate / 10))
        transport.write(left[:piece])
        if len(left) > piece:
            self._loop.call_later(piece / reply.rate, self._trickle, left[piece:], reply)
            return
        self._application.sent(self, reply, complete=True)
        self._done()
