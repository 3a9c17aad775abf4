"""Handler process: calls an async handler function on an attempt, as `perform.py` does. Apart: asyncio loads slowly."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from typing import Any

from worker.handler.attempt import Attempt
from worker.handler.perform import Judge, Outcomes
from worker.handler.run import Report


async def perform_async(
    function: Callable[[Any], Awaitable[Any]], attempt: Attempt, *, batch: bool, report: Report
) -> Outcomes:
    """Call it, and find an outcome for each message. Raises SystemExit, KeyboardInterrupt."""
    judge = Judge(attempt, batch, report)
    try:
        return judge.returned(await function(judge.argument)) if judge.readable else judge.outcomes
    except (SystemExit, KeyboardInterrupt):
        raise
    except CancelledError as error:
        return judge.raised(attempt.late() if attempt.warned else error)
    except BaseException as error:  # noqa: BLE001 - user code may raise anything; all but the two above are retries
        return judge.raised(error)
