"""Rival process: taskiq on SQS: the module that its `taskiq` command loads."""

from __future__ import annotations

import os
import uuid
from typing import Any

from taskiq import TaskiqMessage
from taskiq_aio_sqs import SQSBroker

from benchmarks.rivals.programs import QUEUE, main
from benchmarks.work import async_handler

_work = async_handler()
broker: Any = SQSBroker(
    sqs_queue_name=QUEUE,
    endpoint_url=os.environ.get("AWS_ENDPOINT_URL"),
    region_name="us-east-1",
    aws_access_key_id="worker",
    aws_secret_access_key="worker",  # noqa: S106 - the embedded SQS takes any
    max_number_of_messages=10,
)


@broker.task(task_name="work")
async def work(text: str) -> None:
    """One message."""
    await _work(text, "-")


def wrap(text: str) -> str:
    """A body as its formatter makes it."""
    message = TaskiqMessage(task_id=uuid.uuid4().hex, task_name="work", labels={}, args=[text], kwargs={})
    return bytes(broker.formatter.dumps(message).message).decode()


if __name__ == "__main__":
    main(wrap)
