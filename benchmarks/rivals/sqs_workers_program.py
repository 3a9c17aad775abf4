"""Rival process: sqs-workers: one RawQueue, processed in this process."""

from __future__ import annotations

from typing import Any

from sqs_workers import RawQueue, SQSEnv

from benchmarks.rivals.programs import QUEUE
from benchmarks.work import handler


def run() -> None:
    """For ever."""
    work = handler()
    queue: Any = SQSEnv().queue(QUEUE, RawQueue)

    def process(message: Any) -> None:
        work(message.body, message.message_id)

    queue.connect_raw_processor(process)
    queue.process_queue(wait_second=10)


if __name__ == "__main__":
    run()
