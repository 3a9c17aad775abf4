"""Handler process: the environment of message_store, and its clients of AWS: made once, with short timeouts."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_dynamodb import DynamoDBClient

NAMESPACE = "MessageStore"
#: A call that takes longer is a failure, and the message is retried; botocore tries once more by itself.
_CONNECT, _READ, _ATTEMPTS = 2.0, 3.0, 2
#: Messages that one process may handle at once, as `threads` of worker.toml says.
_CONNECTIONS = 8


def required(name: str, *, meaning: str) -> str:
    """An environment variable. Raises RuntimeError where it is not set, or empty."""
    value = os.environ.get(name, "")
    if not value:
        raise RuntimeError(f"environment variable {name} is not set (or empty): {meaning}")
    return value


TABLE = required("DYNAMO_TABLE", meaning="the DynamoDB table that messages are saved in")
#: As metrics and log lines have it; empty in a Lambda function, where each message says it.
QUEUE_NAME = os.environ.get("QUEUE_NAME") or os.environ.get("QUEUE_URL", "").rpartition("/")[2]
#: Seconds between two puts of metrics.
METRICS_PERIOD = float(os.environ.get("METRICS_PERIOD") or 60)
_REGION = os.environ.get("REGION") or None  #: None: as boto3 finds it


@cache
def dynamodb() -> DynamoDBClient:
    """The client of handler functions; several threads share it."""
    return boto3.session.Session(region_name=_REGION).client("dynamodb", config=_config())


@cache
def cloudwatch() -> CloudWatchClient:
    """The client of the thread that puts metrics."""
    return boto3.session.Session(region_name=_REGION).client("cloudwatch", config=_config())


def _config() -> Config:
    return Config(
        connect_timeout=_CONNECT,
        read_timeout=_READ,
        retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
        max_pool_connections=_CONNECTIONS,
    )
