"""Handler process: the handler functions of worker.toml: `s3_event`, `orchestrator` and `dlq`, one for each part.

A process runs one part, and each part checks its own environment when it is imported. So a function is imported when it
is asked for: the orchestrator alone, in another pool or as a Lambda, needs no SNS topic.
"""

from __future__ import annotations

from collections.abc import Callable

from worker import Message


def __getattr__(name: str) -> Callable[[Message], None]:
    if name == "s3_event":
        from apps.image_pipeline.s3_event import handle as found
    elif name == "orchestrator":
        from apps.image_pipeline.orchestrator import handle as found
    elif name == "dlq":
        from apps.image_pipeline.dlq import handle as found
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return found
