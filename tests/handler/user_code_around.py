"""Handler process: the application of the tests, beside its handler functions: middleware, on_start and on_stop."""

from __future__ import annotations

import asyncio
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


def begin() -> None:
    say(f"begin {os.getpid()}")


def end() -> None:
    say(f"end {os.getpid()}")


def fail() -> None:
    raise RuntimeError("no database")


def leave() -> None:
    raise SystemExit(4)


def fork() -> None:
    """The child comes back from here as its parent does, and must not go on as a second one."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
    say("forked" if pid else "child")


async def begin_async() -> None:
    """Makes what belongs to a loop, and leaves something running on it."""
    global loop, ticking
    loop = asyncio.get_running_loop()
    ticking = loop.create_task(_tick())
    await asyncio.sleep(0)
    say(f"begin {os.getpid()}")


async def end_async() -> None:
    await asyncio.sleep(0)
    same = asyncio.get_running_loop() is loop
    say(f"end {os.getpid()}" if same and not ticking.done() else "another loop")


async def fail_async() -> None:
    await asyncio.sleep(0)
    raise RuntimeError("no database")


async def _tick() -> None:
    await asyncio.Event().wait()
