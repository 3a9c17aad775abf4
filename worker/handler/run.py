"""Handler process: the one place where what a handler function returns or raises becomes an outcome.

`run` is the way of one message at a time; `perform.py` leads here where several run at once.

| the handler function | outcome |
|---|---|
| returns None, or anything that is not named below | ack |
| returns or raises Retry, Reject; returns Forward | that |
| raises anything else: RecursionError, MemoryError, SoftTimeout, CancelledError, ... | retry, by the queue's backoff |
| returns a coroutine or a generator, or the class Reject or Forward | retry: a mistake is never an ack |
| raises SystemExit or KeyboardInterrupt | none: it passes through, and ends the process |
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from typing import Any

from worker.handler.attributes import decode
from worker.handler.describe import clip, describe, show
from worker.handler.forwarding import forward_outcome
from worker.handler.signals import Alarm
from worker.message import Forward, Kind, Message, Reject, Retry
from worker.protocol import Outcome, Parcel

HandlerFunction = Callable[[Message], Any]
#: Told of each exception that is not an outcome.
Report = Callable[[Message, BaseException], None]


def run(function: HandlerFunction, message: Message, parcel: Parcel, *, alarm: Alarm, report: Report) -> Outcome | None:
    """Run the handler function on one message; None is an ack, since most are. Raises SystemExit, KeyboardInterrupt."""
    try:
        if parcel.message_attributes:
            message.message_attributes = decode(parcel.message_attributes)
        alarm.message = message
        try:
            result = function(message)
        finally:
            alarm.message = None
        return None if result is None else returned(result, parcel)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - user code may raise anything; all but the two above are retries
        return raised(error, message, parcel, report)


def returned(result: object, parcel: Parcel) -> Outcome | None:
    """What a return means, None: an ack. Raises TypeError or ValueError for what cannot be an outcome."""
    if isinstance(result, Retry | Reject):
        return _asked(result, parcel)
    if isinstance(result, Forward):
        return forward_outcome(parcel.seq, result)
    if result is Retry:
        return Outcome(parcel.seq, Kind.RETRY)
    if result is Reject or result is Forward:
        raise TypeError(f"the handler function returned the class {result.__name__}, not an instance of it")
    if isinstance(result, Awaitable | Generator | AsyncGenerator):
        if isinstance(result, Coroutine):
            result.close()  # else Python warns that it was never awaited, which this error says better
        raise TypeError(f"the handler function returned a {type(result).__name__}: what it should do never ran")
    return None


def _asked(asked: Retry | Reject, parcel: Parcel) -> Outcome:
    if isinstance(asked, Retry):
        after = None if asked.after is None else float(asked.after)
        return Outcome(parcel.seq, Kind.RETRY, after, clip(show(asked.reason)))
    # The body goes along: a poller that took over from a dead one has none to send to the dead-letter queue.
    reason = clip(show(asked.reason))
    return Outcome(parcel.seq, Kind.REJECT, None, reason, body=parcel.body, attributes=parcel.message_attributes)


def raised(error: BaseException, message: Message, parcel: Parcel, report: Report) -> Outcome:
    """What an exception means; it is reported unless it is an outcome itself."""
    if isinstance(error, Retry | Reject):
        try:
            return _asked(error, parcel)
        except Exception as broken:  # noqa: BLE001 - a subclass of the user's without `after` or `reason`
            error = broken
    report(message, error)
    return Outcome(parcel.seq, Kind.RETRY, None, describe(error))
