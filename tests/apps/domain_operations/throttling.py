"""Test process: a Route 53 that refuses as AWS does, and else is moto: throttling, and references that are used up."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Throttling:
    """What the stand-in refuses, and how often it did."""

    url: str = ""
    refuse: int = 0  #: so many of the next calls are throttled
    refused: int = 0
    used: set[str] = field(default_factory=set)  #: CallerReferences for which zones were made already


@contextmanager
def throttling(endpoint: str) -> Iterator[Throttling]:
    """Serves on loopback, in front of `endpoint`."""
    state = Throttling()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            reference = re.search(rb"<CallerReference>(.*?)</CallerReference>", body)
            if state.refuse > 0:
                state.refuse -= 1
                state.refused += 1
                self._answer(400, _error("Throttling", "Rate exceeded"))
            elif reference and reference[1].decode() in state.used:
                self._answer(409, _error("HostedZoneAlreadyExists", "made for this reference before"))
            else:
                self._pass_on(body)

        do_POST = do_DELETE = do_GET

        def _pass_on(self, body: bytes) -> None:
            behind = HTTPConnection(urlsplit(endpoint).netloc, timeout=10)
            try:
                behind.request(self.command, self.path, body, dict(self.headers))
                answer = behind.getresponse()
                self._answer(answer.status, answer.read())
            finally:
                behind.close()

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _error(code: str, text: str) -> bytes:
    about = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{text}</Message></Error>"
    namespace = "https://route53.amazonaws.com/doc/2013-04-01/"
    return f'<?xml version="1.0"?><ErrorResponse xmlns="{namespace}">{about}</ErrorResponse>'.encode()
