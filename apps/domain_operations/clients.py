"""Handler process: boto3 clients with short timeouts, under a role of another account where one is given.

Endpoints, region and credentials are boto3's own affair: AWS_ENDPOINT_URL, AWS_DEFAULT_REGION, a profile and so on.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_route53 import Route53Client
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_ssm import SSMClient

#: Seconds. A message has 120 (handler_timeout) for a dozen calls.
_CONNECT_TIMEOUT = 3.0
_READ_TIMEOUT = 10.0
#: Codes with which AWS asks a client to slow down; PriorRequestNotComplete is Route 53's, for changes of one zone.
#: https://docs.aws.amazon.com/Route53/latest/APIReference/requests-rate-limits.html
_THROTTLING = {
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}


def required(name: str, meaning: str) -> str:
    """The environment variable. Raises RuntimeError, at import: a handler process without it must not boot."""
    value = os.environ.get(name, "")
    if not value:
        raise RuntimeError(f"environment variable {name} is not set (or empty): {meaning}")
    return value


def throttled(error: ClientError) -> bool:
    """True if AWS asks to slow down, and the call had no effect."""
    return code(error) in _THROTTLING or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 429


def code(error: ClientError) -> str:
    """The error's code, such as NoSuchHostedZone."""
    return error.response.get("Error", {}).get("Code", "")


def dynamodb() -> DynamoDBClient:
    """For the tables."""
    return boto3.client("dynamodb", config=_config(attempts=2))


def s3() -> S3Client:
    """For domains.json. Buckets are named in the path where an endpoint is given: localhost has no subdomains."""
    given = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return boto3.client("s3", config=_config(attempts=2, s3={"addressing_style": "path" if given else "auto"}))


def sns() -> SNSClient:
    """For alerts."""
    return boto3.client("sns", config=_config(attempts=2))


def ssm(role_arn: str = "") -> SSMClient:
    """For queue URLs; `role_arn` may be of the account that has the queues, as the pool reads them under it."""
    return _session(role_arn).client("ssm", config=_config(attempts=2))


def route53(role_arn: str = "") -> Route53Client:
    """For zones; `role_arn` may be of the account that has them.

    One attempt: what came of a call that timed out is looked up before it is made again.
    """
    return _session(role_arn).client("route53", config=_config(attempts=1))


def _config(*, attempts: int, **more: Any) -> Config:
    return Config(
        connect_timeout=_CONNECT_TIMEOUT,
        read_timeout=_READ_TIMEOUT,
        retries={"total_max_attempts": attempts, "mode": "standard"},
        **more,
    )


def _session(role_arn: str) -> boto3.Session:
    """Under the role, if one is given; its credentials are fetched when first needed, and before they expire."""
    if not role_arn:
        return boto3.Session()
    inner, own = botocore.session.get_session(), botocore.session.get_session()
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=own.create_client,
        source_credentials=own.get_credentials(),
        role_arn=role_arn,
        extra_args={"RoleSessionName": "domain-operations"},
    )
    refreshing = DeferredRefreshableCredentials(method="assume-role", refresh_using=fetcher.fetch_credentials)
    inner._credentials = refreshing  # type: ignore[attr-defined]  # botocore has no public way
    return boto3.Session(botocore_session=inner)
