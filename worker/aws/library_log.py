"""Poller process: what boto3 and its libraries warn of, as log lines of ours: theirs would be plain text, unescaped."""

from __future__ import annotations

import logging
import warnings

from worker.aws.errors import clean
from worker.telemetry import Log

#: Seconds in which the same warning is told once: a failing refresh of credentials warns at every call.
_ONCE = 60.0


class LibraryLog(logging.Handler):
    """Writes warnings and errors of the standard logging module; `log` must be its own, since any thread may warn."""

    def __init__(self, log: Log) -> None:
        # Never below: botocore's debug lines hold signatures, tokens and bodies.
        super().__init__(logging.WARNING)
        self._log = log
        self._told: dict[tuple[str, str], float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Called by logging, under the handler's lock."""
        key = record.name, str(record.msg)
        if record.created < self._told.get(key, 0.0) + _ONCE:
            return
        self._told[key] = record.created
        error = record.exc_info[1] if record.exc_info else None
        text = record.getMessage() + (f": {type(error).__name__}: {error}" if error else "")
        self._log.warning("library_warned", library=record.name, why=clean(text))


def tell_warnings(log: Log) -> None:
    """From now on; Python's own warnings as well, without the source line that they would show."""
    logging.getLogger().addHandler(LibraryLog(log))
    logging.captureWarnings(True)
    warnings.formatwarning = lambda message, category, *_: f"{category.__name__}: {message}"
