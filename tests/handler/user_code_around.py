"""Handler process: the application of the tests, beside its handler functions: middleware."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any


def say(text: str) -> None:
    """At once, whichever thread it is."""
    os.write(1, text.encode() + b"\n")


def around(message: Any, call_next: Callable[[Any], Any]) -> Any:
    say("in")
    try:
        return call_next(message)
    finally:
        say("out")


async def around_async(message: Any, call_next: Callable[[Any], Any]) -> Any:
    say("in")
    try:
        return await call_next(message)
    finally:
        say("out")
