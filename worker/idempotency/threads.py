"""Handler process: the attempt of an async def. The store blocks, so it is asked in threads of ours."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any, NamedTuple, TypeVar

from worker.idempotency.attempt import KeyedAttempt

_T = TypeVar("_T")

#: Calls to stores at once, of one process: at 5 ms a call that is 6,000 a second, more than one process handles.
_THREADS = 32


class Ended(NamedTuple):
    """A call that has ended, and whether somebody wanted to stop it meanwhile."""

    value: Any
    cancelled: asyncio.CancelledError | None


async def run_async(attempt: KeyedAttempt, run: Callable[[], Awaitable[Any]]) -> Any:
    """As the plain way, without blocking the event loop.

    A cancellation never leaves a call to the store behind: the key would stay busy, or the effect unmarked. Behind the
    effect it is not raised any more, since the message is done.
    """
    earlier, cancelled = await _to_its_end(attempt.begin)
    if cancelled is not None:
        if earlier is None:
            await _to_its_end(partial(attempt.give_back, cancelled))
        raise cancelled
    if earlier is not None:
        return earlier.result
    try:
        result = await run()
    except BaseException as error:
        await _to_its_end(partial(attempt.give_back, error))
        raise
    return (await _to_its_end(partial(attempt.finish, result))).value


async def _to_its_end(call: Callable[[], Any]) -> Ended:
    future = asyncio.get_running_loop().run_in_executor(_threads(os.getpid()), call)
    cancelled = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    return Ended(future.result(), cancelled)


@cache
def _threads(_process: int) -> ThreadPoolExecutor:
    """Of this process: threads do not live on in a fork."""
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="idempotency")
