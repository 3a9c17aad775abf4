"""Command line: `python -m apps.domain_operations.provision dev` makes what worker.toml uses, prints the environment.

It may run again at any time: what exists already is left, or given the settings below; no message, row or zone is
touched.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from apps.domain_operations import clients
from apps.notifications.provision import make_table as make_notifications_table

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

#: Without the environment's name; each has a dead-letter queue, `-dlq`.
QUEUES = ("domain-queue", "image-processing", "notification", "order-processing")
VISIBILITY, RETENTION, RECEIVES = 300, 14 * 86_400, 3  #: seconds, seconds, maxReceiveCount


def make_queue(sqs: SQSClient, name: str) -> tuple[str, str]:
    """The URLs of a queue and of its dead-letter queue."""
    keeping: Any = {"MessageRetentionPeriod": str(RETENTION), "VisibilityTimeout": str(VISIBILITY)}
    dead = sqs.create_queue(QueueName=f"{name}-dlq")["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=dead, Attributes=keeping)
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": RECEIVES})
    sqs.set_queue_attributes(QueueUrl=url, Attributes=keeping | {"RedrivePolicy": redrive})
    return url, dead


def make_parameters(environment: str, url: str, dead_url: str) -> None:
    """The SSM parameters that lead from the environment's name to the domain queue."""
    ssm = clients.ssm()
    for name, value in (("domain-queue-url", url), ("domain-queue-dlq-url", dead_url)):
        ssm.put_parameter(Name=f"/storefront-{environment}/sqs/{name}", Value=value, Type="String", Overwrite=True)


def make_table(name: str, key: str) -> None:
    """A table with one text as its key; returns when it can be used."""
    dynamodb = clients.dynamodb()
    with suppress(dynamodb.exceptions.ResourceInUseException):  # made before
        dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def make_bucket(name: str) -> None:
    """The bucket of domains.json, with versions: what somebody breaks can be had back."""
    s3 = clients.s3()
    where: Any = {} if s3.meta.region_name == "us-east-1" else {"LocationConstraint": s3.meta.region_name}
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=name, **({"CreateBucketConfiguration": where} if where else {}))
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})


def provision(environment: str) -> dict[str, str]:
    """Make all of it; the variables that lead there. Raises ClientError or BotoCoreError."""
    sqs = boto3.client("sqs")
    urls = {kind: make_queue(sqs, f"{kind}-{environment}") for kind in QUEUES}
    make_parameters(environment, *urls["domain-queue"])
    account = boto3.client("sts").get_caller_identity()["Account"]
    made = {
        "ENVIRONMENT": environment,
        "DOMAIN_TABLE": f"storefront-{environment}-domains",
        "DOMAINS_BUCKET": f"storefront-{environment}-domains-{account}",
        "ORDERS_TABLE": f"storefront-{environment}-orders",
        "NOTIFICATIONS_TABLE": f"storefront-{environment}-notifications",
    }
    make_table(made["DOMAIN_TABLE"], "domain")
    make_table(made["ORDERS_TABLE"], "order_id")
    make_notifications_table(clients.dynamodb(), made["NOTIFICATIONS_TABLE"])
    make_bucket(made["DOMAINS_BUCKET"])
    topic = clients.sns().create_topic(Name=f"storefront-{environment}-alerts")["TopicArn"]
    return made | {"ALERT_TOPIC_ARN": topic}


def main(argv: list[str] | None = None) -> int:
    """Print a line for each variable, as a `.env` file has them; 1 and the reason if something cannot be made."""
    parser = argparse.ArgumentParser(prog="apps.domain_operations.provision", description=__doc__.splitlines()[0])
    parser.add_argument("environment", nargs="?", default="dev", help="dev (the default), staging or prod")
    try:
        made = provision(parser.parse_args(argv).environment)
    except (ClientError, BotoCoreError) as error:
        print(f"apps.domain_operations.provision: {error}", file=sys.stderr)
        return 1
    print("\n".join(f"{name}={value}" for name, value in made.items()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
