"""Test process: a pool's control socket that answers as it is told, for the commands that talk to one."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

STATUS: dict[str, Any] = {
    "ok": True,
    "name": "shop",
    "pid": 100,
    "state": "running",
    "since": 75.0,
    "uptime": 7500.0,
    "version": "0.1.0",
    "queues": {
        "orders": {
            "state": "running",
            "reason": "",
            "counters": {"received": 1234, "deleted": 1200, "released": 30, "in_flight": 4, "running": 1, "ready": 3},
            "pollers": [
                {
                    "number": 0,
                    "pid": 101,
                    "epoch": 1,
                    "state": "running",
                    "progress_age": 0.1,
                    "receive_age": 2.5,
                    "limit": "handlers",
                    "per_second": 1234.4,
                    "cpu": 0.254,
                    "receive_seconds": 0.0123,
                    "settle_seconds": 0.0,
                    "restarts": 0,
                }
            ],
            "templates": [{"pid": 103, "state": "ready", "resident_bytes": 30 * 1024 * 1024, "restarts": 1}],
            "handlers": [
                {
                    "number": 0,
                    "uid": 1,
                    "pid": 102,
                    "state": "busy",
                    "done": 1230,
                    "failed": 30,
                    "places": 20,
                    "busy_seconds": 61.0,
                    "resident_bytes": 50 * 1024 * 1024,
                    "running": [{"seq": 5, "seconds": 1.0}, {"seq": 6, "seconds": 3.5}],
                    "restarts": 2,
                }
            ],
        },
        "mail": {
            "state": "gave_up",
            "reason": "every boot of its handlers failed",
            "counters": {},
            "pollers": [],
            "handlers": [],
        },
    },
}


class FakePool:
    """Listens at `path`; keeps the requests, answers with `answer` (bytes are sent as they are)."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.requests: list[Any] = []
        self.answer: Any = STATUS
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(self.path)
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as lines:
                self.requests.append(json.loads(lines.readline()))
                answer = self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode() + b"\n"
                connection.sendall(answer)


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[FakePool]:
    """A pool that can be asked."""
    fake = FakePool(tmp_path / "control.sock")
    yield fake
    fake.close()


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str], str]:
    """Writes a config that `worker` takes, and gives its path."""

    def write(text: str) -> str:
        path = tmp_path / "worker.toml"
        path.write_text(text)
        path.chmod(0o644)
        return str(path)

    return write
