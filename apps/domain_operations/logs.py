"""Handler process: log lines of this application, JSON objects on standard error, as the pool's are."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import orjson


def say(level: str, event: str, **fields: object) -> None:
    """One line; `level` is info, warning or error. No field may hold a body, a receipt or a credential."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = {"time": now, "level": level, "event": event, **fields}
    sys.stderr.write(f"{orjson.dumps(line, default=str).decode()}\n")
    sys.stderr.flush()
