"""Test process: an HTTP proxy before the SQS server, which says what SQS never would."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

_JSON = "application/x-amz-json-1.0"
#: Headers of an answer that botocore looks at.
_KEPT = ("content-type", "x-amzn-query-error", "x-amzn-requestid")


@dataclass(slots=True)
class Call:
    """One request, and its answer once SQS gave one."""

    action: str
    request: dict[str, Any]
    headers: Mapping[str, str]
    status: int = 0
    answer: Any = None


@dataclass(frozen=True, slots=True)
class Said:
    """An answer in place of SQS's: the bytes as they go over the wire."""

    body: bytes
    status: int = 200
    last_header: bytes = b""


#: Given each call: before it is passed on (`status` is 0), and again with its answer. None: as it is.
Change = Callable[[Call], Said | None]


class Proxy:
    """Listens on a port that the kernel chose, from `with` to its end. `change` is called by many threads."""

    def __init__(self, change: Change, *, target: str = "") -> None:
        self._server = _Server(("127.0.0.1", 0), _Connection)
        self._server.change = change
        self._server.target = urlsplit(target).netloc
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    change: Change
    target: str

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that died in the middle is every test's business and no error."""


class _Connection(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self._upstream: http.client.HTTPConnection | None = None

    def finish(self) -> None:
        if self._upstream is not None:
            self._upstream.close()
        super().finish()

    def do_POST(self) -> None:
        """One call of an action."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        action = self.headers.get("x-amz-target", "").rpartition(".")[2]
        call = Call(action, json.loads(body), dict(self.headers))
        said, headers = self.server.change(call), {"content-type": _JSON}
        if said is None:
            said, headers = self._pass_on(call, body)
        self.send_response(said.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(said.body)))
        if said.last_header:
            self.flush_headers()
            self.wfile.write(said.last_header + b"\r\n")  # what send_header would not take
        self.end_headers()
        self.wfile.write(said.body)

    def _pass_on(self, call: Call, body: bytes) -> tuple[Said, dict[str, str]]:
        if self._upstream is None:
            self._upstream = http.client.HTTPConnection(self.server.target, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "expect")}
        self._upstream.request("POST", self.path, body, headers)
        response = self._upstream.getresponse()
        answered = response.read()
        kept = {name: value for name in _KEPT if (value := response.getheader(name))}
        call.status, call.answer = response.status, json.loads(answered) if answered else {}
        changed = self.server.change(call)
        return (Said(answered, response.status), kept) if changed is None else (changed, {"content-type": _JSON})

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on standard error."""
