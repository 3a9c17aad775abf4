"""Rival process: dramatiq on SQS: the module that its `dramatiq` command loads."""

from __future__ import annotations

import base64
from typing import Any

import dramatiq
from dramatiq_sqs import SQSBroker

from benchmarks.rivals.programs import QUEUE, main
from benchmarks.work import handler

_work = handler()
# The queue's own visibility timeout: with the broker's of 12 hours nothing would come back after a kill.
broker: Any = SQSBroker(visibility_timeout=None)
dramatiq.set_broker(broker)


@dramatiq.actor(queue_name=QUEUE)
def work(text: str) -> None:
    """One message."""
    _work(text, "-")


def wrap(text: str) -> str:
    """A body as the broker sends it."""
    return base64.b64encode(work.message(text).encode()).decode()


if __name__ == "__main__":
    main(wrap)
