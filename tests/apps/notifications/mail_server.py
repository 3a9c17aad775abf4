"""Test process: a mail server on loopback, as far as a program that gives mail in talks to it."""

from __future__ import annotations

import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class MailServer(socketserver.ThreadingTCPServer):
    """`answers` has the reply to a command, where it is not 250; `mails` what was given in: sender, recipient, text."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.answers: dict[str, str] = {}
        self.mails: list[tuple[str, str, bytes]] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A program that does not like an answer hangs up: no fault."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.server_address[1]}"


class _Conversation(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self._say("220 here")
        sender = recipient = ""
        while line := self.rfile.readline().decode().strip():
            command = line.split()[0].upper()
            sender = line if command == "MAIL" else sender
            recipient = line if command == "RCPT" else recipient
            if command == "DATA":
                self._say("354 go on")
                text = b"".join(iter(self.rfile.readline, b".\r\n"))
                if "DATA" not in self.server.answers:
                    self.server.mails.append((sender, recipient, text))
            self._say(self.server.answers.get(command, "221 bye" if command == "QUIT" else "250 ok"))

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@contextmanager
def serving() -> Iterator[MailServer]:
    """A mail server that ends with the block."""
    with MailServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
