"""Handler process: boto3's clients, made at first use, one of each kind in a process; its threads share them.

A service that does not answer costs a handler function a few seconds, and its message a retry: the queue's backoff is
the patience of this application, not botocore's.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_stepfunctions import SFNClient

#: Seconds, and attempts with the first one. As many connections as worker.toml has threads.
_CONFIG = Config(
    connect_timeout=2,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 2},
    max_pool_connections=20,
)
#: boto3's session may be used by one thread at a time.
_making = threading.Lock()


def dynamodb() -> DynamoDBClient:
    """The client of DynamoDB."""
    with _making:
        return _dynamodb()


def s3() -> S3Client:
    """The client of S3."""
    with _making:
        return _s3()


def sns() -> SNSClient:
    """The client of SNS."""
    with _making:
        return _sns()


def stepfunctions() -> SFNClient:
    """The client of Step Functions."""
    with _making:
        return _stepfunctions()


def close() -> None:
    """Close the connections of all clients; the next use makes new ones."""
    with _making:
        for made in (_dynamodb, _s3, _sns, _stepfunctions):
            if made.cache_info().currsize:
                made().close()
                made.cache_clear()


@cache
def _dynamodb() -> DynamoDBClient:
    return boto3.client("dynamodb", config=_CONFIG)


@cache
def _s3() -> S3Client:
    return boto3.client("s3", config=_CONFIG)


@cache
def _sns() -> SNSClient:
    return boto3.client("sns", config=_CONFIG)


@cache
def _stepfunctions() -> SFNClient:
    return boto3.client("stepfunctions", config=_CONFIG)
