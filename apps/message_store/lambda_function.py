"""Lambda function: the same handler function behind an event source mapping with ReportBatchItemFailures.

The handler is `apps.message_store.lambda_function.lambda_handler`.
"""

from __future__ import annotations

from typing import Any

from apps.message_store import handlers
from worker.aws_lambda import entry_point

handlers.start()
_run = entry_point(handlers.save)


def lambda_handler(event: Any, context: Any) -> dict[str, list[dict[str, str]]]:
    """Answers which messages failed. The metrics are put before it returns: Lambda stops threads in between."""
    try:
        return _run(event, context)
    finally:
        handlers.stop()
