"""Handler process: the variables of the environment that the three parts need."""

from __future__ import annotations

import os


def need(name: str, what: str) -> str:
    """The variable's value. Raises RuntimeError, with what it is for: a handler process does not start without."""
    value = os.environ.get(name, "").strip()
    if not value:
        raise RuntimeError(f"environment variable {name} is not set (or empty): {what}")
    return value
