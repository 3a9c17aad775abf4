"""Handler process: the application of the tests, async: handler functions that do what user code may do on a loop."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from worker import Message, Retry

SPIN = 0.002  #: seconds between two looks


async def handle(message: Message) -> Any:
    """Does what the body names: {"do": function, ...its arguments}."""
    order = message.json()
    return await globals()[order.pop("do")](message, **order)


async def handle_list(messages: list[Message]) -> dict[Message, Any]:
    """The same for each message of a batch."""
    return {message: await handle(message) for message in messages}


async def nothing(_message: Message) -> None:
    return


async def wait(_message: Message, *, until: str) -> None:
    """Runs till a file is there."""
    while not Path(until).exists():
        await asyncio.sleep(SPIN)


async def hang(_message: Message) -> None:
    """Runs for ever, and lets others run."""
    await asyncio.Event().wait()


async def be_late(_message: Message, *, started: str) -> Retry:
    """Cleans up when it is cancelled."""
    Path(started).touch()
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return Retry(after=2, reason="cleaned up")
    raise AssertionError("nobody sets the event")


async def block(_message: Message, *, started: str) -> None:
    """Lets nobody else run."""
    Path(started).touch()
    time.sleep(60)


async def block_until(_message: Message, *, until: str) -> None:
    """Lets nobody else run till a file is there."""
    while not Path(until).exists():
        time.sleep(SPIN)


async def leave(_message: Message, *, code: Any) -> None:
    raise SystemExit(code)


async def leave_in_a_part(message: Message, *, code: Any) -> None:
    """As TaskGroup and gather do it: a task of its own, that the loop raises the exit of."""
    await asyncio.create_task(leave(message, code=code))


async def stop_the_loop(_message: Message) -> None:
    asyncio.get_running_loop().stop()
    await asyncio.Event().wait()


async def start_eagerly(_message: Message) -> None:
    """Later tasks of the loop run to their first wait before anybody has seen them."""
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]


async def cancel_itself(_message: Message) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def leave_behind(_message: Message, *, into: str) -> None:
    """Starts something on the loop that outlives its message."""

    async def stay() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            Path(into).touch()

    asyncio.get_running_loop().behind = asyncio.create_task(stay())  # type: ignore[attr-defined]


async def close_all(_message: Message) -> None:
    os.closerange(3, 256)
