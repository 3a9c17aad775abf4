"""Handler process: the handler functions of benchmarks/several.py: they wait as for a database, or do nothing."""

from __future__ import annotations

import asyncio
import os
import time

from worker import Message

#: Seconds that each message waits.
WAIT = float(os.environ.get("WAIT", "0.05"))


def nothing(_message: Message) -> None:
    """What the pool itself costs."""


async def nothing_async(_message: Message) -> None:
    """The same on the event loop."""


def wait(_message: Message) -> None:
    """Waits in a thread."""
    time.sleep(WAIT)


async def wait_async(_message: Message) -> None:
    """Waits on the event loop."""
    await asyncio.sleep(WAIT)


def nothing_batch(_messages: list[Message]) -> None:
    """A batch."""
