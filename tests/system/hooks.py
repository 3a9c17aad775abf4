"""The application of the system tests of on_start and on_stop: each call leaves a line, as effects do."""

from __future__ import annotations

import os
import time

from tests.system.effects import record  # noqa: F401 - the handler function

_FILE = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def begin() -> None:
    os.write(_FILE, f"begin {os.getpid()} - {os.getpid()} {time.monotonic_ns()}\n".encode())


def close() -> None:
    os.write(_FILE, f"close {os.getpid()} - {os.getpid()} {time.monotonic_ns()}\n".encode())


def refuse() -> None:
    raise ConnectionError("no database")


def hang() -> None:
    close()
    while True:
        time.sleep(60)
