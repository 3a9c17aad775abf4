"""Command line: `python -m apps.image_pipeline.provision`: makes all that a try-out needs, and prints its variables.

What is there already is kept, so it can be run again. It serves the demonstration and the tests as well.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_sqs.literals import QueueAttributeNameType

#: maxReceiveCount: with the pool's backoff ten receives outlast an outage of minutes.
RECEIVES = 10
_FORTNIGHT = str(14 * 24 * 3600)  #: seconds: the longest that SQS keeps a message
_VISIBILITY = "60"  #: seconds; the pool sends its own with each receive
#: What a try-out's state machine does. A real one marks its rows, see the README.
_DEFINITION = {"StartAt": "Process", "States": {"Process": {"Type": "Pass", "End": True}}}
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}


def make_bucket(name: str) -> None:
    """Makes a bucket in boto3's region, without public access."""
    s3 = boto3.client("s3")
    region = s3.meta.region_name
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        if region == "us-east-1":  # it has no name there
            s3.create_bucket(Bucket=name)
        else:
            s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})  # type: ignore[typeddict-item]  # any region
    s3.close()


def make_table(name: str) -> None:
    """Makes the table of images, and waits until it is there."""
    dynamodb = boto3.client("dynamodb")
    with suppress(dynamodb.exceptions.ResourceInUseException):
        dynamodb.create_table(
            TableName=name,
            KeySchema=[
                {"AttributeName": "imageId", "KeyType": "HASH"},
                {"AttributeName": "userId", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[{"AttributeName": one, "AttributeType": "S"} for one in ("imageId", "userId")],
            BillingMode="PAY_PER_REQUEST",
        )
    dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    dynamodb.close()


def make_topic(name: str) -> str:
    """Makes the topic of alerts; its ARN."""
    sns = boto3.client("sns")
    arn = sns.create_topic(Name=name)["TopicArn"]
    sns.close()
    return arn


def make_state_machine(name: str) -> str:
    """Makes a standard state machine that does nothing, and its role, which may do nothing; its ARN."""
    iam, stepfunctions = boto3.client("iam"), boto3.client("stepfunctions")
    with suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(_TRUST))
    role = iam.get_role(RoleName=name)["Role"]["Arn"]
    made = stepfunctions.create_state_machine(name=name, definition=json.dumps(_DEFINITION), roleArn=role)
    iam.close()
    stepfunctions.close()
    return made["stateMachineArn"]


def make_queues(prefix: str, *, bucket: str) -> dict[str, str]:
    """Makes the three queues; their URLs by variable. Events of the bucket may be sent to the first."""
    sqs = boto3.client("sqs")
    kept: dict[QueueAttributeNameType, str] = {"MessageRetentionPeriod": _FORTNIGHT, "VisibilityTimeout": _VISIBILITY}
    dead_letters = sqs.create_queue(QueueName=f"{prefix}-dlq", Attributes=kept)["QueueUrl"]
    target = _arn(dead_letters)
    redrive = json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": RECEIVES})
    urls = {"DLQ_URL": dead_letters}
    for variable, name in (("S3_EVENT_QUEUE_URL", f"{prefix}-s3-events"), ("SQS_QUEUE_URL", prefix)):
        urls[variable] = sqs.create_queue(QueueName=name, Attributes={**kept, "RedrivePolicy": redrive})["QueueUrl"]
    policy = _policy(_arn(urls["S3_EVENT_QUEUE_URL"]), bucket=bucket)
    sqs.set_queue_attributes(QueueUrl=urls["S3_EVENT_QUEUE_URL"], Attributes={"Policy": json.dumps(policy)})
    sqs.close()
    return urls


def notify(bucket: str, queue_url: str) -> None:
    """Lets S3 send an event of each object that is made below uploads/. It sends s3:TestEvent at once."""
    s3 = boto3.client("s3")
    rules = [{"Name": "prefix", "Value": "uploads/"}]
    queue = {"QueueArn": _arn(queue_url), "Events": ["s3:ObjectCreated:*"], "Filter": {"Key": {"FilterRules": rules}}}
    s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={"QueueConfigurations": [queue]},  # type: ignore[list-item]  # as S3 documents it
    )
    s3.close()


def _arn(queue_url: str) -> str:
    sqs = boto3.client("sqs")
    arn = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sqs.close()
    return arn


def _policy(queue_arn: str, *, bucket: str) -> dict[str, object]:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html"""
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnLike": {"aws:SourceArn": f"arn:{queue_arn.split(':')[1]}:s3:::{bucket}"}},
    }
    return {"Version": "2012-10-17", "Statement": [allowed]}


def _provision(prefix: str, *, bucket: str) -> Mapping[str, str]:
    if not bucket:  # their names are unique in all of AWS
        sts = boto3.client("sts")
        bucket = f"{prefix}-{sts.get_caller_identity()['Account']}-{sts.meta.region_name}"
        sts.close()
    make_bucket(bucket)
    make_table(prefix)
    urls = make_queues(prefix, bucket=bucket)
    # Where SQS is another server than S3, as on one's own machine, S3 cannot send to it.
    if "AWS_ENDPOINT_URL_SQS" not in os.environ:
        notify(bucket, urls["S3_EVENT_QUEUE_URL"])
    return {
        **urls,
        "SQS_QUEUE_NAME": prefix,
        "STEP_FUNCTIONS_ARN": make_state_machine(prefix),
        "DYNAMODB_TABLE": prefix,
        "SNS_TOPIC_ARN": make_topic(prefix),
        "UPLOADS_BUCKET": bucket,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit code: 0, 64 for wrong arguments, 69 where AWS refuses or does not answer."""
    parser = argparse.ArgumentParser(
        prog="python -m apps.image_pipeline.provision",
        description="Makes bucket, table, topic, state machine and queues where boto3's environment points, and prints"
        " the variables that name them, a NAME=value each. What is there already is kept.",
    )
    parser.add_argument("--prefix", default="image-pipeline", help="how everything is called (default: image-pipeline)")
    parser.add_argument("--bucket", default="", help="another bucket than PREFIX-ACCOUNT-REGION")
    try:
        wanted = parser.parse_args(arguments)
    except SystemExit as error:
        return os.EX_USAGE if error.code else os.EX_OK
    try:
        made = _provision(wanted.prefix, bucket=wanted.bucket)
    except (ClientError, BotoCoreError) as error:
        # A role that was made just now is often not known to Step Functions yet.
        print(f"provision: {error}\nWhat was made is kept; run it again once this is mended.", file=sys.stderr)
        return os.EX_UNAVAILABLE
    print("\n".join(f"{name}={value}" for name, value in made.items()))
    return os.EX_OK


if __name__ == "__main__":
    raise SystemExit(main())
