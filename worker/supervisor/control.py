"""Supervisor process: the control socket: one JSON line in, one JSON line out, and no client can hold it up."""

from __future__ import annotations

import os
import selectors
import socket
from collections.abc import Callable
from pathlib import Path

import orjson

from worker import platform
from worker.supervisor import address
from worker.supervisor.verbs import Answer, Reply, refused

#: Clients at a time; further ones wait in the kernel's line until one of these is done or out of time.
CLIENTS = 8
#: Bytes of a request, and seconds from connecting to having read the answer.
LONGEST, PATIENCE = 64 * 1024, 5.0

#: Seconds without new clients after one could not be accepted.
REST = 1.0
#: Reads of what a client has sent too much, before it is closed.
_UNREAD = 16
#: Takes a request line, and a function for its answer, which may be called later.
Ask = Callable[[bytes, Reply], None]


class Client:
    """One connection: a request is read to its end of line, the answer is written, and it is closed."""

    def __init__(self, connection: socket.socket, *, until: float) -> None:
        self.connection = connection
        self.until = until
        self.request = bytearray()
        self.answer: memoryview | None = None
        self.asked = False
        self.refusal = ""  #: why it gets nothing
        self.waits_for = selectors.EVENT_READ  #: 0 while there is nothing to wait for but the answer

    def fileno(self) -> int:
        return self.connection.fileno()


class Control:
    """The listening socket and its clients. Without a path there is none, and nothing ever happens."""

    def __init__(self, path: str, *, selector: selectors.BaseSelector, ask: Ask, refuse: Callable[[int], None]) -> None:
        """Raises address.Refused if the path cannot be used, or belongs to a pool that lives."""
        self._selector = selector
        self._ask = ask
        self._refuse = refuse
        self._clients: set[Client] = set()
        self._place = address.claim(Path(path)) if path else None
        self._accepting = False
        self._rest_until = float("inf")
        self._listen()

    def accept(self, *, now: float) -> None:
        """Take one client that the selector has announced."""
        if self._place is None:
            return
        try:
            connection, _ = self._place.listener.accept()
        except OSError:
            # It left, or there is no descriptor for it: then it is announced again and again, and we would spin.
            self._rest_until = now + REST
            self._listen()
            return
        connection.setblocking(False)
        client = Client(connection, until=now + PATIENCE)
        self._clients.add(client)
        self._selector.register(client, selectors.EVENT_READ, client)
        self._listen()
        user = platform.peer_user(connection)
        if user not in (0, os.geteuid()):
            client.refusal = f"user {user} may not control the pool of user {os.geteuid()}"
            self._refuse(user)

    def ready(self, client: Client, mask: int) -> None:
        """The selector announces a client."""
        if mask & selectors.EVENT_READ:
            self._read(client)
        if mask & selectors.EVENT_WRITE:
            self._write(client)

    def step(self, *, now: float) -> float:
        """Close clients that are out of time; returns when the next will be."""
        for client in [client for client in self._clients if client.until <= now]:
            self._close(client)
        if self._rest_until <= now:
            self._rest_until = float("inf")
            self._listen()
        return min((*(client.until for client in self._clients), self._rest_until))

    def close(self) -> None:
        """Close everything, and remove the socket if it is still ours."""
        for client in list(self._clients):
            self._close(client)
        if self._place is not None:
            if self._accepting:
                self._selector.unregister(self._place.listener)
            self._place.release()
            self._place = None

    def _listen(self) -> None:
        """Listen exactly while there is room for a client, and a descriptor."""
        wanted = len(self._clients) < CLIENTS and self._rest_until == float("inf")
        if self._place is not None and wanted is not self._accepting:
            self._accepting = wanted
            if wanted:
                self._selector.register(self._place.listener, selectors.EVENT_READ, self)
            else:
                self._selector.unregister(self._place.listener)

    def _read(self, client: Client) -> None:
        try:
            data = client.connection.recv(LONGEST + 1)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        client.request += b"" if client.asked else data
        line, end, _ = client.request.partition(b"\n")
        if client.asked:
            # It has ended its side, as `nc` does, or says more than one request: it gets its one answer.
            self._wait(client, 0 if client.answer is None else selectors.EVENT_WRITE)
        elif len(line) > LONGEST:
            self._reply(client, refused(f"a request is one line of at most {LONGEST} bytes"))
        elif end or (line and not data):
            client.asked = True
            if client.refusal:
                self._reply(client, refused(client.refusal))
            else:
                self._ask(bytes(line), lambda answer: self._reply(client, answer))
        elif not data:
            self._close(client)

    def _reply(self, client: Client, answer: Answer) -> None:
        if client in self._clients and client.answer is None:
            client.asked = True
            client.answer = memoryview(orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE))
            self._write(client)

    def _write(self, client: Client) -> None:
        if client.answer is None:
            return
        try:
            client.answer = client.answer[client.connection.send(client.answer) :]
        except BlockingIOError:
            pass
        except OSError:
            client.answer = client.answer[:0]
        if client.answer:
            self._wait(client, selectors.EVENT_WRITE)
        else:
            self._close(client)

    def _wait(self, client: Client, events: int) -> None:
        if client.waits_for == events or client not in self._clients:
            return
        if not client.waits_for:
            self._selector.register(client, events, client)
        elif events:
            self._selector.modify(client, events, client)
        else:
            self._selector.unregister(client)
        client.waits_for = events

    def _close(self, client: Client) -> None:
        if client in self._clients:
            self._wait(client, 0)
            self._clients.remove(client)
            _empty(client.connection)
            client.connection.close()
            self._listen()


def _empty(connection: socket.socket) -> None:
    """Take what is unread: closed over it, the connection would be reset, and the answer with it."""
    try:
        for _ in range(_UNREAD):
            if not connection.recv(LONGEST):
                return
    except OSError:
        return
