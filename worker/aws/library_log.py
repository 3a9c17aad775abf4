"""Poller process: what boto3 and its libraries warn of, as log lines of ours: theirs would be plain text, unescaped."""

from __future__ import annotations

import logging
import warnings

from worker.aws.errors import clean
from worker.telemetry import Log

#: Seconds in which the same warning is told once: a failing refresh of credentials warns at every call.
_ONCE = 60.0
#: Warnings that are remembered for that.
_REMEMBERED = 100


class LibraryLog(logging.Handler):
    """Writes warnings and errors of the standard logging module; `log` must be its own, since any thread may warn."""

    def __init__(self, log: Log) -> None:
        # Never below: botocore's debug lines hold signatures, tokens and bodies.
        super().__init__(logging.WARNING)
        self._log = log
        self._told: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Called by logging, under the handler's lock."""
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError):
            text = str(record.msg)  # a format that does not fit its arguments must not fail the call that warned
        error = record.exc_info[1] if record.exc_info else None
        text = clean(f"{text}: {type(error).__name__}: {error}" if error else text)
        told = self._told.get(text)
        if told is not None and told <= record.created < told + _ONCE:  # not while a clock that was set back catches up
            return
        if len(self._told) >= _REMEMBERED:
            self._told.clear()
        self._told[text] = record.created
        self._log.warning("library_warned", library=record.name, why=text)


def tell_warnings(log: Log) -> None:
    """From now on; Python's own warnings as well, without the source line that they would show."""
    logging.getLogger().addHandler(LibraryLog(log))
    logging.captureWarnings(True)
    warnings.formatwarning = lambda message, category, *_: f"{category.__name__}: {message}"
