"""What boto3 and its libraries warn of; that no secret is in it is told in tests/hostile/test_corpus_calls.py."""

from __future__ import annotations

import logging

import pytest

from worker.aws.library_log import LibraryLog
from worker.telemetry import Log


def test_a_clock_that_is_set_back_silences_no_warning(capfd: pytest.CaptureFixture[str]) -> None:
    """The same warning is told once a minute; of a clock an hour behind that would be a silence of an hour."""
    handler = LibraryLog(Log(human=False))
    for created in (10_000.0, 10_030.0, 6_400.0, 6_430.0, 6_461.0):
        record = logging.LogRecord("botocore", logging.WARNING, "", 0, "again", None, None)
        record.created = created
        handler.handle(record)
    out, err = capfd.readouterr()
    assert (out + err).count("library_warned") == 3
