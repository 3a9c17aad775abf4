"""Test process: an S3 of one bucket's size that takes conditional writes as AWS does, whole and one after the other.

moto compares the version and writes in two steps, without a lock: of two writers that meet there, both are told that
they have written. Here a write is refused with 412 unless its condition holds at the moment of the write.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class StrictS3:
    """Objects by path, and how many writes were taken and refused."""

    objects: dict[str, bytes] = field(default_factory=dict)
    written: int = 0
    refused: int = 0
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, path: str, body: bytes, *, match: str | None, none_match: str | None) -> tuple[int, str]:
        """The status and the error's code."""
        with self.lock:
            now = self.objects.get(path)
            if match is not None and now is None:
                return 404, "NoSuchKey"
            if (match is not None and match != etag(now or b"")) or (none_match == "*" and now is not None):
                self.refused += 1
                return 412, "PreconditionFailed"
            self.objects[path] = body
            self.written += 1
            return 200, ""


def etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


@contextmanager
def strict_s3() -> Iterator[StrictS3]:
    """Serves on loopback, in threads of this process."""
    store = StrictS3()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = store.objects.get(self.path)
            if body is None:
                self._answer(404, _error("NoSuchKey"))
            else:
                self._answer(200, body, tag=etag(body))

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            conditions = {"match": self.headers.get("If-Match"), "none_match": self.headers.get("If-None-Match")}
            status, code = store.put(self.path.partition("?")[0], body, **conditions)
            self._answer(status, _error(code) if code else b"", tag=etag(body))

        def _answer(self, status: int, body: bytes, *, tag: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if tag:
                self.send_header("ETag", tag)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    store.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _error(code: str) -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
