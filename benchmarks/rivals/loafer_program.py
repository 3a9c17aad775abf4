"""Rival process: loafer-ng: one route for the queue, in this process."""

from __future__ import annotations

import json
from typing import Any

from loafer.ext.aws.routes import SQSRoute
from loafer.managers import LoaferManager

from benchmarks.rivals.programs import QUEUE_URL, main
from benchmarks.work import async_handler


def run() -> None:
    """For ever."""
    work = async_handler()

    async def handle(text: str, metadata: dict[str, Any]) -> bool:
        await work(text, str(metadata.get("MessageId", "-")))
        return True  # confirm it: delete the message

    options = {"options": {"WaitTimeSeconds": 10, "MaxNumberOfMessages": 10}}
    LoaferManager(routes=[SQSRoute(QUEUE_URL, options, handler=handle)]).run()


if __name__ == "__main__":
    main(json.dumps, run)
