"""Test process: making, finding, describing and tagging queues, through boto3 (facts recorded on AWS)."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conformance.aim import Target

STANDARD = {
    "ApproximateNumberOfMessages": "0",
    "ApproximateNumberOfMessagesDelayed": "0",
    "ApproximateNumberOfMessagesNotVisible": "0",
    "DelaySeconds": "0",
    "MaximumMessageSize": "1048576",
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "SqsManagedSseEnabled": "true",
    "VisibilityTimeout": "30",
}
FIFO = STANDARD | {
    "ContentBasedDeduplication": "true",
    "DeduplicationScope": "queue",
    "FifoQueue": "true",
    "FifoThroughputLimit": "perQueue",
}


def attributes(target: Target, url: str, *names: str) -> dict[str, str]:
    found: Any = target.client.get_queue_attributes(QueueUrl=url, AttributeNames=names or ["All"])
    return dict(found.get("Attributes", {}))


def without_times(target: Target, url: str) -> dict[str, str]:
    """All attributes but ARN and times, which are checked here."""
    found = attributes(target, url)
    assert found.pop("QueueArn").endswith(":" + url.rpartition("/")[2])
    for name in ("CreatedTimestamp", "LastModifiedTimestamp"):
        assert abs(int(found.pop(name)) - time.time()) < 60
    return found


def set_attributes(target: Target, url: str, **given: str) -> None:
    target.client.set_queue_attributes(QueueUrl=url, Attributes=given)


def test_the_attributes_of_new_queues(target: Target) -> None:
    """Defaults of both types of queue; nothing that is not set is shown."""
    assert without_times(target, target.queue()) == STANDARD
    assert without_times(target, target.fifo()) == FIFO


def test_attributes_given_and_changed(target: Target) -> None:
    """What was given at the start and later is shown at once, the rest keeps its value."""
    given = {"MessageRetentionPeriod": "604800", "ReceiveMessageWaitTimeSeconds": "10", "VisibilityTimeout": "20"}
    url = target.queue(**given)
    assert without_times(target, url) == STANDARD | given
    changed = {"MaximumMessageSize": "2048", "VisibilityTimeout": "69", "DelaySeconds": "420"}
    set_attributes(target, url, **changed)
    assert without_times(target, url) == STANDARD | given | changed


def test_content_based_deduplication_can_be_changed(target: Target) -> None:
    """A FIFO queue's deduplication may be switched off later; FifoQueue may be repeated."""
    url = target.fifo()
    set_attributes(target, url, ContentBasedDeduplication="false", FifoQueue="true")
    assert without_times(target, url) == FIFO | {"ContentBasedDeduplication": "false"}


@pytest.mark.parametrize(("scope", "limit"), [("messageGroup", "perMessageGroupId"), ("queue", "perQueue")])
def test_throughput_modes_are_shown(target: Target, scope: str, limit: str) -> None:
    """Both modes are set and shown at once."""
    url = target.fifo()
    set_attributes(target, url, DeduplicationScope=scope, FifoThroughputLimit=limit)
    assert without_times(target, url) == FIFO | {"DeduplicationScope": scope, "FifoThroughputLimit": limit}


def test_encryption_attributes(target: Target) -> None:
    """A KMS key switches SQS's own encryption off; emptied, it goes, and the switch stays."""
    url = target.queue()
    set_attributes(target, url, KmsMasterKeyId="testKeyId", KmsDataKeyReusePeriodSeconds="6000")
    kms = {"KmsMasterKeyId": "testKeyId", "KmsDataKeyReusePeriodSeconds": "6000", "SqsManagedSseEnabled": "false"}
    assert without_times(target, url) == STANDARD | kms
    set_attributes(target, url, KmsMasterKeyId="", KmsDataKeyReusePeriodSeconds="300")
    assert without_times(target, url) == STANDARD | {"SqsManagedSseEnabled": "false"}


def test_chosen_attributes(target: Target) -> None:
    """Only what is named is shown; nothing named, or nothing set, shows no Attributes."""
    url = target.queue()
    assert set(attributes(target, url, "QueueArn", "CreatedTimestamp", "VisibilityTimeout", "Policy")) == {
        "QueueArn",
        "CreatedTimestamp",
        "VisibilityTimeout",
    }
    assert "Attributes" not in target.client.get_queue_attributes(QueueUrl=url)
    assert "Attributes" not in target.client.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])


def test_create_again(target: Target) -> None:
    """The same name without attributes, or with the same ones, is the same queue, whatever is in it."""
    given = {"VisibilityTimeout": "69", "ReceiveMessageWaitTimeSeconds": "1"}
    url = target.queue(**given)
    name = url.rpartition("/")[2]
    target.send(url, "foobar")
    for again in ({}, given, {"VisibilityTimeout": "69"}):
        assert target.client.create_queue(QueueName=name, Attributes=again)["QueueUrl"] == url
    set_attributes(target, url, VisibilityTimeout="70")
    again = {"VisibilityTimeout": "70"}
    assert target.client.create_queue(QueueName=name, Attributes=again)["QueueUrl"] == url


def test_urls(target: Target) -> None:
    """A queue's URL ends in account and name, and is found by name."""
    name = target.name(".fifo")
    url = target.made(name, {"FifoQueue": "true"})
    assert url.endswith(f"/{name}")
    assert target.client.get_queue_url(QueueName=name)["QueueUrl"] == url


def test_lists_and_pages(target: Target) -> None:
    """Queues are listed by prefix, page after page; the last page has no token, no queues no list."""
    prefix = target.name("-page")
    urls = [target.made(f"{prefix}-{i}", {}) for i in range(10)]
    client = target.client
    assert client.list_queues(QueueNamePrefix=prefix)["QueueUrls"] == urls
    first = client.list_queues(QueueNamePrefix=prefix, MaxResults=2)
    assert first["QueueUrls"] == urls[:2]
    rest = client.list_queues(QueueNamePrefix=prefix, MaxResults=10, NextToken=first["NextToken"])
    assert rest["QueueUrls"] == urls[2:]
    assert "NextToken" not in rest
    assert "QueueUrls" not in client.list_queues(QueueNamePrefix=prefix + "-none")
    pages = client.get_paginator("list_queues").paginate(QueueNamePrefix=prefix, PaginationConfig={"PageSize": 3})
    assert [url for page in pages for url in page["QueueUrls"]] == urls


def test_tags(target: Target) -> None:
    """Tags given at the start and later, overwritten, removed; keys keep their case; none left, none shown."""
    client = target.client
    url = client.create_queue(QueueName=target.name(), tags={"first": "1"})["QueueUrl"]
    target.urls.append(url)
    client.tag_queue(QueueUrl=url, Tags={"tag1": "value1", "MyTag": "a", "mytag": "b", "empty": ""})
    client.tag_queue(QueueUrl=url, Tags={"tag1": "VALUE1"})
    expected = {"first": "1", "tag1": "VALUE1", "MyTag": "a", "mytag": "b", "empty": ""}
    assert client.list_queue_tags(QueueUrl=url)["Tags"] == expected
    client.untag_queue(QueueUrl=url, TagKeys=["tag1", "MyTag", "empty", "never"])
    assert client.list_queue_tags(QueueUrl=url)["Tags"] == {"first": "1", "mytag": "b"}
    client.untag_queue(QueueUrl=url, TagKeys=["first", "mytag"])
    assert "Tags" not in client.list_queue_tags(QueueUrl=url)


def test_policies_are_set_and_removed(target: Target) -> None:
    """A policy comes back with its statements, alone or among all; an empty one removes it."""
    statement = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sqs:SendMessage", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    url = target.queue(Policy=policy)
    for names in ((), ("Policy",)):
        found = json.loads(attributes(target, url, *names)["Policy"])
        assert found["Statement"][0]["Action"] == "sqs:SendMessage"
    for _ in range(2):
        set_attributes(target, url, Policy="")
        assert "Policy" not in attributes(target, url)


def test_the_life_of_permissions(target: Target) -> None:
    """Permissions become statements of a policy of SQS's own making, by label, and go one by one."""
    url = target.queue()
    arn = target.arn(url)
    account = arn.split(":")[4]
    client = target.client
    root = f"arn:aws:iam::{account}:root"

    def statement(label: str, principal: str | list[str]) -> dict[str, Any]:
        allowed = {"Sid": label, "Effect": "Allow", "Principal": {"AWS": principal}}
        return {**allowed, "Action": "SQS:ReceiveMessage", "Resource": arn}

    def policy() -> Any:
        return json.loads(attributes(target, url, "Policy")["Policy"])

    def add(label: str, *accounts: str) -> None:
        client.add_permission(QueueUrl=url, Label=label, AWSAccountIds=accounts, Actions=["ReceiveMessage"])

    add("one", account)
    head = {"Version": "2008-10-17", "Id": f"{arn}/SQSDefaultPolicy"}
    assert policy() == head | {"Statement": [statement("one", root)]}
    error = target.refused(
        "add_permission", QueueUrl=url, Label="one", AWSAccountIds=[account], Actions=["ReceiveMessage"]
    )
    assert (error["Code"], error["Message"]) == (
        "InvalidParameterValue",
        "Value one for parameter Label is invalid. Reason: Already exists.",
    )
    add("two", account)
    assert policy()["Statement"] == [statement("one", root), statement("two", root)]
    client.remove_permission(QueueUrl=url, Label="one")
    assert policy()["Statement"] == [statement("two", root)]
    client.remove_permission(QueueUrl=url, Label="two")
    assert attributes(target, url, "Policy") == {}
    error = target.refused("remove_permission", QueueUrl=url, Label="two")
    assert error["Message"] == "Value two for parameter Label is invalid. Reason: can't find label."


def test_redrive_policies(target: Target) -> None:
    """A redrive policy is shown with a number, lists its source, and goes by an empty value."""
    source, dead = target.dead_letter_pair(10)
    policy = json.loads(attributes(target, source, "RedrivePolicy")["RedrivePolicy"])
    assert policy == {"deadLetterTargetArn": target.arn(dead), "maxReceiveCount": 10}
    assert target.client.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [source]
    for _ in range(2):
        set_attributes(target, source, RedrivePolicy="")
        assert "RedrivePolicy" not in attributes(target, source)
    assert target.client.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == []
