"""Test process: a listener on loopback that answers as the test wants, over TCP or TLS, connection by connection."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

#: What to do with a connection; it is closed afterwards.
Serve = Callable[[socket.socket], None]


def request(sock: socket.socket) -> bytes:
    """One whole request; nothing where the client has closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := sock.recv(65536)):
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    while len(body) < length:
        body += sock.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(body: bytes = b"{}", status: int = 200, extra: bytes = b"") -> bytes:
    """An answer of SQS."""
    return b"HTTP/1.1 %d OK\r\n%scontent-length: %d\r\n\r\n" % (status, extra, len(body)) + body


def answering(sock: socket.socket) -> None:
    """Answer every request with an empty object."""
    while request(sock):
        sock.sendall(answer())


class Listener:
    """From `with` to its end. `serves` are used one per connection, the last one for all further ones."""

    def __init__(self, *serves: Serve, context: ssl.SSLContext | None = None) -> None:
        self._serves = list(serves)
        self._context = context
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept)
        self._open: list[socket.socket] = []
        self.connections = 0
        self.resumed = 0
        scheme = "https" if context else "http"
        self.url = f"{scheme}://localhost:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    def _accept(self) -> None:
        threads = []
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                break
            serve = self._serves[min(self.connections, len(self._serves) - 1)]
            self.connections += 1
            self._open.append(sock)
            threads.append(threading.Thread(target=self._serve, args=(sock, serve)))
            threads[-1].start()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()

    def _serve(self, sock: socket.socket, serve: Serve) -> None:
        with contextlib.suppress(OSError):
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
                self._open.append(sock)
                self.resumed += bool(sock.session_reused)
            serve(sock)
        sock.close()
