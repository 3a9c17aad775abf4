"""Command line: `python -m apps.notifications.provision` makes the queues and the table, and prints the environment.

It may run again at any time: what exists already is given the settings below, and no message or row is touched.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from apps.notifications.environment import Misconfigured, endpoint, region

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

#: Each queue with its dead-letter queue, its visibility timeout in seconds, and the variables of both URLs.
QUEUES = (
    ("send-queue", "send-dlq", 300, "SQS_SEND_QUEUE_URL", "SQS_SEND_DLQ_URL"),
    ("batch-queue", "batch-dlq", 600, "SQS_BATCH_QUEUE_URL", "SQS_BATCH_DLQ_URL"),
)
RECEIVES = 3
#: Seconds: 14 days, the longest that SQS keeps a message.
_RETENTION = 14 * 86_400
_TABLE = "notifications"
_CONFIG = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 3, "mode": "standard"})


def make_queues(sqs: SQSClient) -> dict[str, str]:
    """The four queues; their URLs by the names of their variables."""
    urls = {}
    for name, dead_letters, visibility, variable, dead_variable in QUEUES:
        target = urls[dead_variable] = _queue(sqs, dead_letters, {})
        arn = sqs.get_queue_attributes(QueueUrl=target, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": RECEIVES})
        urls[variable] = _queue(sqs, name, {"VisibilityTimeout": str(visibility), "RedrivePolicy": redrive})
    return urls


def make_table(dynamodb: DynamoDBClient, name: str) -> None:
    """The table of deliveries, whose rows leave 60 days later; returns when it can be used."""
    with suppress(dynamodb.exceptions.ResourceInUseException):  # made before
        dynamodb.create_table(
            TableName=name,
            KeySchema=[
                {"AttributeName": "batch_id", "KeyType": "HASH"},
                {"AttributeName": "recipient_id", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "batch_id", "AttributeType": "S"},
                {"AttributeName": "recipient_id", "AttributeType": "S"},
            ],
            BillingMode="PAY_PER_REQUEST",
        )
    dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    said = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    if said.get("TimeToLiveStatus") not in ("ENABLED", "ENABLING"):
        wanted: Any = {"Enabled": True, "AttributeName": "expires"}
        dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=wanted)


def provision(environ: Mapping[str, str]) -> dict[str, str]:
    """Make all of it; the variables that lead there. Raises Misconfigured, ClientError or BotoCoreError."""
    where = region(environ)
    sqs = boto3.client("sqs", endpoint_url=endpoint(environ), region_name=where, config=_CONFIG)
    dynamodb = boto3.client("dynamodb", region_name=where, config=_CONFIG)
    table = environ.get("NOTIFICATIONS_TABLE", "") or _TABLE
    try:
        urls = {name: _at(endpoint(environ), url) for name, url in make_queues(sqs).items()}
        make_table(dynamodb, table)
    finally:
        sqs.close()
        dynamodb.close()
    return urls | {"NOTIFICATIONS_TABLE": table}


def main() -> int:
    """Print a line for each variable, as a `.env` file has them; 1 and the reason if something cannot be made."""
    try:
        made = provision(os.environ)
    except (Misconfigured, ClientError, BotoCoreError) as error:
        print(f"apps.notifications.provision: {error}", file=sys.stderr)
        return 1
    print("\n".join(f"{name}={value}" for name, value in made.items()))
    return 0


def _at(given: str | None, url: str) -> str:
    """A queue's URL at the endpoint that was given: an emulator may call itself by a name that leads nowhere else."""
    if given is None:
        return url
    there = urlsplit(given)
    return urlsplit(url)._replace(scheme=there.scheme, netloc=there.netloc).geturl()


def _queue(sqs: SQSClient, name: str, attributes: dict[str, str]) -> str:
    """The URL of a queue with these attributes, made or found."""
    wanted: Any = {"MessageRetentionPeriod": str(_RETENTION)} | attributes
    try:
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    except sqs.exceptions.QueueDoesNotExist:
        return sqs.create_queue(QueueName=name, Attributes=wanted)["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes=wanted)
    return url


if __name__ == "__main__":
    raise SystemExit(main())
