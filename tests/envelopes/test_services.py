"""Test process: envelopes as another implementation of the services writes them: moto's SNS, S3 and EventBridge."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from worker.envelopes import eventbridge, s3_records, sns

REGION = "eu-west-1"


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, str, str]]:
    """A client, and the URL and ARN of a queue, all in this process."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        sqs = boto3.client("sqs")
        url = sqs.create_queue(QueueName="q")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        yield sqs, url, arn


def bodies(sqs: Any, url: str) -> list[str]:
    return [one["Body"] for one in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])]


def test_what_a_topic_sends(queue: tuple[Any, str, str]) -> None:
    """Text, subject and attributes arrive as they were published."""
    sqs, url, arn = queue
    topics = boto3.client("sns")
    topic = topics.create_topic(Name="t")["TopicArn"]
    topics.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    attributes = {"kind": {"DataType": "String", "StringValue": "new"}}
    sent = topics.publish(TopicArn=topic, Message="h\u00e9", Subject="s", MessageAttributes=attributes)
    (body,) = bodies(sqs, url)
    found = sns(body)
    assert (found.text, found.subject, found.topic, found.message_id) == ("h\u00e9", "s", topic, sent["MessageId"])
    assert found.attributes["kind"].value == "new"
    assert found.certificate_url is not None


@pytest.mark.parametrize("through_sns", [False, True])
def test_what_a_bucket_sends(queue: tuple[Any, str, str], through_sns: bool) -> None:
    """The test event first, then a key that has to be decoded."""
    sqs, url, arn = queue
    buckets, target = boto3.client("s3"), {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    if through_sns:
        topics = boto3.client("sns")
        topic = topics.create_topic(Name="t")["TopicArn"]
        topics.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        target = {"TopicConfigurations": [{"TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}]}
    buckets.create_bucket(Bucket="images", CreateBucketConfiguration={"LocationConstraint": REGION})
    buckets.put_bucket_notification_configuration(Bucket="images", NotificationConfiguration=target)
    first = bodies(sqs, url)
    assert [s3_records(body) for body in first] == [[]]
    buckets.put_object(Bucket="images", Key="uploads/u 1/h\u00e9+1.jpg", Body=b"12345")
    ((record,),) = [s3_records(body) for body in bodies(sqs, url)]
    assert (record.bucket, record.key, record.size) == ("images", "uploads/u 1/h\u00e9+1.jpg", 5)
    assert record.event_name.startswith("ObjectCreated:")


def test_what_a_bus_sends(queue: tuple[Any, str, str]) -> None:
    """Detail and type, and an id of the event's own."""
    sqs, url, arn = queue
    events = boto3.client("events")
    events.put_rule(Name="r", EventPattern=json.dumps({"source": ["shop"]}))
    events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": arn}])
    events.put_events(Entries=[{"Source": "shop", "DetailType": "Order Placed", "Detail": '{"order": 7}'}])
    (body,) = bodies(sqs, url)
    found = eventbridge(body)
    assert (found.source, found.detail_type, found.detail) == ("shop", "Order Placed", {"order": 7})
    assert found.id
