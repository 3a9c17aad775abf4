"""Handler process: the variables of the environment that the three parts need."""

from __future__ import annotations

import os


def need(name: str, what: str) -> str:
    """The variable's value. Raises RuntimeError, which keeps a handler process from starting, and says what it is for."""
    value = os.environ.get(name, "").strip()
    if not value:
        raise RuntimeError(f"environment variable {name} is not set (or empty): {what}")
    return value
