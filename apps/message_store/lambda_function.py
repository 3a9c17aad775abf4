"""Lambda function: the same handler function behind an event source mapping with ReportBatchItemFailures.

The handler is `apps.message_store.lambda_function.lambda_handler`.
"""

from __future__ import annotations

from typing import Any

from apps.message_store import handlers
from worker.aws_lambda import entry_point

#: Seconds that are left to Lambda for the answer itself.
_RESERVE = 0.3

handlers.start()
_run = entry_point(handlers.save)


def lambda_handler(event: Any, context: Any) -> dict[str, list[dict[str, str]]]:
    """Answers which messages failed. The metrics are put before it returns: Lambda stops threads in between.

    A CloudWatch that does not answer must not cost the answer: without it all messages would come again. What it does
    not take in the time that is left is put with the next invocation's.
    """
    try:
        return _run(event, context)
    finally:
        handlers.flush(patience(context))


def patience(context: Any) -> float:
    """Seconds that the metrics may take: 5, or what is left of the invocation."""
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return handlers.FLUSH if remaining is None else max(0.0, min(handlers.FLUSH, remaining() / 1000 - _RESERVE))
