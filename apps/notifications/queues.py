"""Producer process: how many messages are in each queue of the notifications."""

from __future__ import annotations

import asyncio
import os
from functools import lru_cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from apps.notifications.environment import endpoint, region, required

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType

_QUEUES = {
    "send_queue": "SQS_SEND_QUEUE_URL",
    "batch_queue": "SQS_BATCH_QUEUE_URL",
    "send_dlq": "SQS_SEND_DLQ_URL",
    "batch_dlq": "SQS_BATCH_DLQ_URL",
}
#: What SQS calls the three numbers. All are approximate: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/
#: APIReference/API_GetQueueAttributes.html
_NUMBERS: dict[str, QueueAttributeNameType] = {
    "visible": "ApproximateNumberOfMessages",
    "in_flight": "ApproximateNumberOfMessagesNotVisible",
    "delayed": "ApproximateNumberOfMessagesDelayed",
}
_CONFIG = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 2, "mode": "standard"})


class QueueUnreadable(RuntimeError):
    """SQS did not tell of a queue; `str()` says which and why."""


class SqsQueueManager:
    """Looks at the queues that the environment names when it is asked."""

    async def get_queue_statistics(self) -> dict[str, dict[str, int]]:
        """`{"send_queue", "batch_queue", "send_dlq", "batch_dlq"}`, each `{"visible", "in_flight", "delayed"}`.

        Raises Misconfigured where a variable is missing, and QueueUnreadable.
        """
        environ = dict(os.environ)
        urls = {name: required(environ, variable, purpose="the URL of a queue") for name, variable in _QUEUES.items()}
        # In a thread: a client reads files, and may ask the network for credentials.
        sqs = await asyncio.to_thread(_client, endpoint(environ), region(environ))
        found = await asyncio.gather(*(asyncio.to_thread(_numbers, sqs, urls[name], _QUEUES[name]) for name in urls))
        return dict(zip(urls, found, strict=True))


@lru_cache(maxsize=1)
def _client(endpoint_url: str | None, region_name: str | None) -> SQSClient:
    return boto3.client("sqs", endpoint_url=endpoint_url, region_name=region_name, config=_CONFIG)


def _numbers(sqs: SQSClient, url: str, variable: str) -> dict[str, int]:
    try:
        said = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(_NUMBERS.values()))["Attributes"]
    except (ClientError, BotoCoreError) as error:
        raise QueueUnreadable(f"cannot read the queue of {variable}, {url}: {error}") from error
    return {name: int(said[theirs]) for name, theirs in _NUMBERS.items()}
