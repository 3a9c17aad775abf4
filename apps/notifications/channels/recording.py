"""Handler process: the channel `recording`: a line of JSON for each delivery, for demonstrations and tests."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping

from apps.notifications.answers import Answer, Delivered
from apps.notifications.channels.channel import Delivery


class Recording:
    """Appends to a file that other processes append to as well."""

    def __init__(self, path: str) -> None:
        self._path = path

    def deliver(self, delivery: Delivery) -> Answer:
        """Write the line. Raises OSError: a retry."""
        said = {
            "key": delivery.key,
            "batch_id": delivery.batch_id,
            "content": delivery.content,
            "recipient": dict(delivery.recipient),
        }
        _append(self._path, json.dumps(said).encode() + b"\n")
        return Delivered()


def from_environment(environ: Mapping[str, str]) -> Recording | None:
    """RECORDING_FILE."""
    path = environ.get("RECORDING_FILE", "")
    return Recording(path) if path else None


def _append(path: str, line: bytes) -> None:
    """A whole line, or an error. A lock of the kernel's, which ends with its holder.

    What a killed process leaves of a line is closed off: it was not marked as delivered, so it is written again.
    """
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        end = os.fstat(file).st_size
        half = end and os.pread(file, 1, end - 1) != b"\n"
        text = b"\n" + line if half else line
        if os.write(file, text) != len(text):
            raise OSError(f"{path}: the line was not written whole: is the disk full?")
    finally:
        os.close(file)
