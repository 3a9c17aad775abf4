"""Rival process: PyQS: the function that its `pyqs` command imports by the name in the message."""

from __future__ import annotations

import json

from benchmarks.rivals.programs import main
from benchmarks.work import handler

_work = handler()


def work(text: str) -> None:
    """One message."""
    _work(text, "-")


def wrap(text: str) -> str:
    """A body as PyQS reads it."""
    return json.dumps({"task": "benchmarks.rivals.pyqs_program.work", "args": [], "kwargs": {"text": text}})


if __name__ == "__main__":
    main(wrap)
