"""Poller process: the endpoint's addresses, looked up in a thread, since nothing else can wait for a name server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

from worker.aws.connection import Address

#: Seconds for which an answer of the name server is used. SQS changes its addresses within minutes.
_FRESH = 10.0
#: Seconds for which its refusal is told, so that all who waited for it are told.
_REFUSED = 0.2


class Addresses:
    """Of one host and port. The one that last took a connection stands first."""

    def __init__(self, host: str, port: int, *, wake: Callable[[], None]) -> None:
        """`wake` is called, in another thread, when a look-up has ended."""
        self._host = host
        self._port = port
        self._wake = wake
        self._found: list[Address] = []
        self._good: Address = ()
        self._until = float("-inf")
        self._thread: threading.Thread | None = None
        self._error = ""

    def current(self) -> list[Address] | None:
        """The addresses to try, in this order; None while they are looked up, which this starts. Raises LookupError."""
        if time.monotonic() < self._until:
            if self._error:
                raise LookupError(self._error)
            return self._found
        if self._thread is None or not self._thread.is_alive():
            # A daemon of its own: a name server that never answers must not keep the process from ending.
            self._thread = threading.Thread(target=self._look_up, name="addresses", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # the interpreter ends and takes no more threads: a producer sends what is left
                self._look_up()
        return None

    def took(self, address: Address) -> None:
        """A connection to this address is open."""
        if address is not self._good:
            self._good = address
            self._found = [address, *(one for one in self._found if one != address)]

    def failed(self) -> None:
        """None of them took a connection: they may be old."""
        self._until = float("-inf")

    def _look_up(self) -> None:
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            self._error = str(error)
            self._until = time.monotonic() + _REFUSED
        else:
            good = self._good
            self._error, self._found = "", sorted(found, key=lambda one: one != good)
            self._until = time.monotonic() + _FRESH
        self._wake()
