"""Test process: attributes, pages, tags and permissions of queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

if TYPE_CHECKING:
    from tests.testing.sqs_server.model import Sqs


def attributes(sqs: Sqs, url: str, *names: str) -> dict[str, str]:
    answer: dict[str, str] = sqs.call("GetQueueAttributes", QueueUrl=url, AttributeNames=list(names)).get(
        "Attributes", {}
    )
    return answer


def test_attributes_of_a_new_queue(sqs: Sqs) -> None:
    """A queue created without attributes has SQS's defaults (recorded on AWS), and nothing that is unset."""
    url = sqs.create()
    stamp = str(int(sqs.now))
    standard = {
        "ApproximateNumberOfMessages": "0",
        "ApproximateNumberOfMessagesDelayed": "0",
        "ApproximateNumberOfMessagesNotVisible": "0",
        "CreatedTimestamp": stamp,
        "DelaySeconds": "0",
        "LastModifiedTimestamp": stamp,
        "MaximumMessageSize": "1048576",
        "MessageRetentionPeriod": "345600",
        "QueueArn": "arn:aws:sqs:us-east-1:000000000000:q",
        "ReceiveMessageWaitTimeSeconds": "0",
        "SqsManagedSseEnabled": "true",
        "VisibilityTimeout": "30",
    }
    assert attributes(sqs, url, "All") == standard
    fifo = attributes(sqs, sqs.create("q.fifo"), "All")
    assert fifo == standard | {
        "QueueArn": "arn:aws:sqs:us-east-1:000000000000:q.fifo",
        "FifoQueue": "true",
        "ContentBasedDeduplication": "false",
        "DeduplicationScope": "queue",
        "FifoThroughputLimit": "perQueue",
    }


def test_only_the_attributes_asked_for(sqs: Sqs) -> None:
    """Names choose; no names, or only unset ones, give no Attributes at all; unknown names are refused."""
    url = sqs.create()
    assert attributes(sqs, url, "VisibilityTimeout", "Policy") == {"VisibilityTimeout": "30"}
    assert sqs.call("GetQueueAttributes", QueueUrl=url) == {}
    assert sqs.call("GetQueueAttributes", QueueUrl=url, AttributeNames=["Policy"]) == {}
    error = sqs.refused("GetQueueAttributes", QueueUrl=url, AttributeNames=["Foobar"])
    assert (error.code, error.message) == ("InvalidAttributeName", "Unknown Attribute Foobar.")


def test_set_attributes_changes_only_what_is_given(sqs: Sqs) -> None:
    """Set attributes show at once, the rest stays, and the time of modification moves."""
    url = sqs.create(VisibilityTimeout="20")
    created = int(sqs.now)
    sqs.now += 10
    sqs.call("SetQueueAttributes", QueueUrl=url, Attributes={"MaximumMessageSize": "2048", "DelaySeconds": "420"})
    found = attributes(sqs, url, "All")
    assert (found["VisibilityTimeout"], found["MaximumMessageSize"], found["DelaySeconds"]) == ("20", "2048", "420")
    assert (int(found["CreatedTimestamp"]), int(found["LastModifiedTimestamp"])) == (created, created + 10)
    error = sqs.refused("SetQueueAttributes", QueueUrl=url, Attributes={})
    assert error.message == "The request must contain the parameter Attribute.Name."


def test_the_type_of_a_queue_is_fixed(sqs: Sqs) -> None:
    """FifoQueue is unknown to a standard queue, and cannot be taken from a FIFO one (recorded on AWS)."""
    fifo = sqs.create("q.fifo")
    sqs.call("SetQueueAttributes", QueueUrl=fifo, Attributes={"FifoQueue": "true"})
    error = sqs.refused("SetQueueAttributes", QueueUrl=fifo, Attributes={"FifoQueue": "false"})
    assert error.code == "InvalidAttributeValue"
    assert error.message == "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported."
    for value in ("true", "false"):
        error = sqs.refused("SetQueueAttributes", QueueUrl=sqs.create(), Attributes={"FifoQueue": value})
        assert (error.code, error.message) == ("InvalidAttributeName", "Unknown Attribute FifoQueue.")


def test_encryption_attributes_exclude_each_other(sqs: Sqs) -> None:
    """A KMS key turns SQS's own encryption off, and goes with its reuse period when it is emptied (recorded on AWS)."""
    url = sqs.create()
    names = ("KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled")
    sqs.call("SetQueueAttributes", QueueUrl=url, Attributes={"KmsMasterKeyId": "key"})
    assert attributes(sqs, url, *names) == dict(zip(names, ("key", "300", "false"), strict=True))
    sqs.call("SetQueueAttributes", QueueUrl=url, Attributes={"KmsMasterKeyId": "", names[1]: "300"})
    assert attributes(sqs, url, *names) == {"SqsManagedSseEnabled": "false"}
    sqs.call("SetQueueAttributes", QueueUrl=url, Attributes={"KmsMasterKeyId": "key"})
    sqs.call("SetQueueAttributes", QueueUrl=url, Attributes={"SqsManagedSseEnabled": "true"})
    assert attributes(sqs, url, *names) == {"SqsManagedSseEnabled": "true"}


def test_high_throughput_needs_its_scope(sqs: Sqs) -> None:
    """perMessageGroupId is refused while the deduplication scope is the queue."""
    url = sqs.create("q.fifo")
    high = {"FifoThroughputLimit": "perMessageGroupId"}
    assert (
        "DeduplicationScope is messageGroup" in sqs.refused("SetQueueAttributes", QueueUrl=url, Attributes=high).message
    )
    sqs.call("SetQueueAttributes", QueueUrl=url, Attributes={**high, "DeduplicationScope": "messageGroup"})


def test_create_again_is_the_same_queue_unless_an_attribute_differs(sqs: Sqs) -> None:
    """Repeating CreateQueue gives the URL; a different value is refused by name, whatever else is equal."""
    url = sqs.create(DelaySeconds="1", VisibilityTimeout="9")
    assert sqs.create() == sqs.create(DelaySeconds="1") == url
    error = sqs.refused("CreateQueue", QueueName="q", Attributes={"VisibilityTimeout": "9", "DelaySeconds": "2"})
    assert (error.code, error.shape) == ("QueueAlreadyExists", "QueueNameExists")
    assert error.message == (
        "A queue already exists with the same name and a different value for attribute DelaySeconds"
    )
    sqs.call("SetQueueAttributes", QueueUrl=url, Attributes={"DelaySeconds": "2"})
    assert sqs.create(DelaySeconds="2") == url


def test_redrive_policies_come_back_as_json_and_go_by_an_empty_value(sqs: Sqs) -> None:
    """maxReceiveCount may come as text and is shown as a number; an empty policy removes it."""
    dead = sqs.create("dead")
    policy = f'{{"deadLetterTargetArn": "{sqs.arn(dead)}", "maxReceiveCount": "42"}}'
    url = sqs.create(RedrivePolicy=policy)
    assert orjson.loads(attributes(sqs, url, "All")["RedrivePolicy"]) == {
        "deadLetterTargetArn": sqs.arn(dead),
        "maxReceiveCount": 42,
    }
    for _ in range(2):
        sqs.call("SetQueueAttributes", QueueUrl=url, Attributes={"RedrivePolicy": ""})
        assert "RedrivePolicy" not in attributes(sqs, url, "All")


@pytest.mark.parametrize(
    ("allow", "allowed"),
    [
        ('{"redrivePermission":"allowAll"}', True),
        ('{"redrivePermission":"denyAll"}', False),
        ('{"redrivePermission":"byQueue","sourceQueueArns":["arn:aws:sqs:us-east-1:000000000000:q"]}', True),
        ('{"redrivePermission":"byQueue","sourceQueueArns":["arn:aws:sqs:us-east-1:000000000000:other"]}', False),
    ],
)
def test_redrive_allow_policies_are_kept(sqs: Sqs, allow: str, allowed: bool) -> None:
    """A dead-letter queue decides which queues may use it."""
    dead = sqs.create("dead", RedriveAllowPolicy=allow)
    policy = orjson.dumps({"deadLetterTargetArn": sqs.arn(dead), "maxReceiveCount": 1}).decode()
    if allowed:
        sqs.create(RedrivePolicy=policy)
    else:
        assert (
            sqs.refused("CreateQueue", QueueName="q", Attributes={"RedrivePolicy": policy}).code
            == "InvalidParameterValue"
        )


def test_queues_are_listed_by_prefix_and_page(sqs: Sqs) -> None:
    """Pages follow by NextToken, which only comes with MaxResults and when more is left; none found, none shown."""
    urls = [sqs.create(f"page-{i}") for i in range(5)]
    sqs.create("other")
    assert sqs.call("ListQueues", QueueNamePrefix="page-") == {"QueueUrls": urls}
    first = sqs.call("ListQueues", QueueNamePrefix="page-", MaxResults=2)
    assert first["QueueUrls"] == urls[:2]
    rest = sqs.call("ListQueues", QueueNamePrefix="page-", MaxResults=10, NextToken=first["NextToken"])
    assert rest == {"QueueUrls": urls[2:]}
    assert sqs.call("ListQueues", QueueNamePrefix="nothing") == {}
    exact = sqs.call("ListQueues", QueueNamePrefix="page-", MaxResults=5)
    assert exact == {"QueueUrls": urls}
    for bad in (-1, 1001):
        assert "between 1 and 1000" in sqs.refused("ListQueues", MaxResults=bad).message
    assert sqs.refused("ListQueues", MaxResults=1, NextToken="§").message == "Invalid or expired next token."


def test_regions_have_queues_of_their_own(sqs: Sqs) -> None:
    """The same name in two regions is two queues, each with its region in the ARN."""
    here = sqs.arn(sqs.create())
    sqs.caller.region = "eu-west-1"
    assert sqs.call("ListQueues") == {}
    there = sqs.arn(sqs.create())
    assert (here, there) == (
        "arn:aws:sqs:us-east-1:000000000000:q",
        "arn:aws:sqs:eu-west-1:000000000000:q",
    )


def test_get_queue_url(sqs: Sqs) -> None:
    """The URL of a queue of this account; other accounts' queues do not exist."""
    url = sqs.create()
    assert sqs.call("GetQueueUrl", QueueName="q") == {"QueueUrl": url}
    assert sqs.call("GetQueueUrl", QueueName="q", QueueOwnerAWSAccountId="000000000000") == {"QueueUrl": url}
    missing: list[dict[str, Any]] = [{"QueueName": "x"}, {"QueueName": "q", "QueueOwnerAWSAccountId": "111111111111"}]
    for request in missing:
        error = sqs.refused("GetQueueUrl", **request)
        assert (error.shape, error.message) == ("QueueDoesNotExist", "The specified queue does not exist.")
    assert "Must specify a queue name." in sqs.refused("GetQueueUrl", QueueName="").message


def test_tags(sqs: Sqs) -> None:
    """Tags are set, overwritten and removed by key, in the case they were given; none left, none shown."""
    url = sqs.call("CreateQueue", QueueName="q", tags={"made": "with"})["QueueUrl"]
    sqs.call("TagQueue", QueueUrl=url, Tags={"a": "1", "A": "2", "empty": ""})
    sqs.call("TagQueue", QueueUrl=url, Tags={"a": "3"})
    assert sqs.call("ListQueueTags", QueueUrl=url) == {"Tags": {"made": "with", "a": "3", "A": "2", "empty": ""}}
    sqs.call("UntagQueue", QueueUrl=url, TagKeys=["a", "A", "made", "empty", "never"])
    assert sqs.call("ListQueueTags", QueueUrl=url) == {}


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({}, "The request must contain the parameter Tags."),
        ({"": "v"}, "Tag keys must be between 1 and 128 characters in length."),
        ({"k" * 129: "v"}, "Tag keys must be between 1 and 128 characters in length."),
        ({"k": "v" * 257}, "Tag values must be between 0 and 256 characters in length."),
        ({"aws:k": "v"}, "reserved"),
        ({str(i): "v" for i in range(51)}, "Too many tags added for queue q."),
    ],
)
def test_bad_tags(sqs: Sqs, tags: dict[str, str], message: str) -> None:
    """Tags beyond SQS's limits are refused, and none of them is set."""
    url = sqs.create()
    assert message in sqs.refused("TagQueue", QueueUrl=url, Tags=tags).message
    assert sqs.call("ListQueueTags", QueueUrl=url) == {}


def statement(label: str, accounts: Any, actions: Any) -> dict[str, Any]:
    return {
        "Sid": label,
        "Effect": "Allow",
        "Principal": {"AWS": accounts},
        "Action": actions,
        "Resource": "arn:aws:sqs:us-east-1:000000000000:q",
    }


def test_permissions_write_the_policy(sqs: Sqs) -> None:
    """AddPermission makes SQS's default policy (recorded on AWS); the last RemovePermission takes it away."""
    url = sqs.create()
    add = {"QueueUrl": url, "AWSAccountIds": ["000000000000", "668614515564"], "Actions": ["ReceiveMessage"]}
    sqs.call("AddPermission", Label="one", **add)
    sqs.call("AddPermission", QueueUrl=url, Label="two", AWSAccountIds=["000000000000"], Actions=["SendMessage", "*"])
    one = statement("one", [f"arn:aws:iam::{n}:root" for n in ("000000000000", "668614515564")], "SQS:ReceiveMessage")
    two = statement("two", "arn:aws:iam::000000000000:root", ["SQS:SendMessage", "SQS:*"])
    assert orjson.loads(attributes(sqs, url, "Policy")["Policy"]) == {
        "Version": "2008-10-17",
        "Id": "arn:aws:sqs:us-east-1:000000000000:q/SQSDefaultPolicy",
        "Statement": [one, two],
    }
    error = sqs.refused("AddPermission", Label="one", **add)
    assert error.message == "Value one for parameter Label is invalid. Reason: Already exists."
    sqs.call("RemovePermission", QueueUrl=url, Label="one")
    assert orjson.loads(attributes(sqs, url, "Policy")["Policy"])["Statement"] == [two]
    sqs.call("RemovePermission", QueueUrl=url, Label="two")
    assert attributes(sqs, url, "Policy") == {}
    error = sqs.refused("RemovePermission", QueueUrl=url, Label="two")
    assert error.message == "Value two for parameter Label is invalid. Reason: can't find label."


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"Label": ""}, "MissingParameter", "The request must contain the parameter Label."),
        ({"Label": "a b"}, "InvalidParameterValue", "Value a b for parameter Label is invalid."),
        ({"Actions": []}, "MissingParameter", "The request must contain the parameter ActionName."),
        (
            {"Actions": ["SendMessageBatch"]},
            "InvalidParameterValue",
            "Value SQS:SendMessageBatch for parameter ActionName is invalid. "
            "Reason: Please refer to the appropriate WSDL for a list of valid actions.",
        ),
        (
            {"Actions": ["CreateQueue"]},
            "InvalidParameterValue",
            "Value SQS:CreateQueue for parameter ActionName is invalid. "
            "Reason: Only the queue owner is allowed to invoke this action.",
        ),
        ({"Actions": ["*"] * 8}, "OverLimit", "8 Actions were found, maximum allowed is 7."),
        ({"AWSAccountIds": []}, "MissingParameter", "The request must contain the parameter AWSAccountIds."),
        ({"AWSAccountIds": ["me"]}, "InvalidParameterValue", "Unable to verify."),
    ],
)
def test_bad_permissions(sqs: Sqs, change: dict[str, Any], code: str, message: str) -> None:
    """Labels, actions and accounts that SQS refuses leave the queue without a policy."""
    url = sqs.create()
    good: dict[str, Any] = {"Label": "l", "Actions": ["SendMessage"], "AWSAccountIds": ["000000000000"]}
    error = sqs.refused("AddPermission", QueueUrl=url, **(good | change))
    assert error.code == code
    assert message in error.message
    assert attributes(sqs, url, "Policy") == {}


def test_a_policy_has_at_most_twenty_statements(sqs: Sqs) -> None:
    """The 21st permission is over the limit, as is a policy set with 21 statements."""
    url = sqs.create()
    for i in range(20):
        sqs.call("AddPermission", QueueUrl=url, Label=f"l{i}", Actions=["SendMessage"], AWSAccountIds=["000000000000"])
    error = sqs.refused(
        "AddPermission", QueueUrl=url, Label="more", Actions=["SendMessage"], AWSAccountIds=["000000000000"]
    )
    assert (error.code, error.status) == ("OverLimit", 403)
    policy = orjson.dumps({"Statement": [{"Sid": str(i)} for i in range(21)]}).decode()
    error = sqs.refused("SetQueueAttributes", QueueUrl=url, Attributes={"Policy": policy})
    assert error.message == "21 statements were found in the submitted policy, max allowed is 20"
    policy = orjson.dumps({"Statement": {"Action": ["sqs:*"] * 10}}).decode()
    error = sqs.refused("SetQueueAttributes", QueueUrl=url, Attributes={"Policy": policy})
    assert error.message == "10 actions were found in a statement from the submitted policy, max allowed is 7"


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ([], None),
        (["All"], {"General", "Hello", "Help.Me"}),
        ([".*"], {"General", "Hello", "Help.Me"}),
        (["*"], {"General", "Hello", "Help.Me"}),
        (["Hel.*"], {"Hello", "Help.Me"}),
        (["Hello", "Foo"], {"Hello"}),
        (["Foo", "Help"], None),
        (["AWS."], None),
        (["..foo"], None),
    ],
)
def test_message_attribute_filters(sqs: Sqs, names: list[str], shown: set[str] | None) -> None:
    """Names, All and prefixes choose attributes; the MD5 covers what is shown (recorded on AWS)."""
    md5 = {
        frozenset({"General", "Hello", "Help.Me"}): "4c360f3fdafd970e05fae2f149d997f5",
        frozenset({"Hello", "Help.Me"}): "83fee93c1bcd8b9a5a923ffacdc636c7",
        frozenset({"Hello"}): "a311262e065454b75da111d535b8dacd",
    }
    url = sqs.create()
    values = {"Help.Me": "Me", "Hello": "There", "General": "Kenobi"}
    given = {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}
    sqs.send(url, "msg", MessageAttributes=given)
    [message] = sqs.receive(url, MessageAttributeNames=names)
    if shown is None:
        assert message.keys() == {"MessageId", "ReceiptHandle", "MD5OfBody", "Body"}
    else:
        assert message["MessageAttributes"] == {name: given[name] for name in shown}
        assert message["MD5OfMessageAttributes"] == md5[frozenset(shown)]


def test_both_names_of_system_attributes_add_up(sqs: Sqs) -> None:
    """AttributeNames and MessageSystemAttributeNames together choose system attributes (recorded on AWS)."""
    url = sqs.create(VisibilityTimeout="0")
    sqs.send(url, "a")
    [message] = sqs.receive(url, AttributeNames=["SenderId"], MessageSystemAttributeNames=["All"])
    assert len(message["Attributes"]) == 4
    [message] = sqs.receive(url, AttributeNames=["SenderId"], MessageSystemAttributeNames=["SequenceNumber"])
    assert message["Attributes"].keys() == {"SenderId"}
    [message] = sqs.receive(url, AttributeNames=["SequenceNumber"])
    assert "Attributes" not in message


def test_md5_of_system_attributes(sqs: Sqs) -> None:
    """The trace header has an MD5 of its own and leaves that of the other attributes alone (recorded on AWS)."""
    url = sqs.create()
    number = {"timestamp": {"StringValue": "1493147359900", "DataType": "Number"}}
    value = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    trace = {"AWSTraceHeader": {"StringValue": value, "DataType": "String"}}
    plain = sqs.call("SendMessage", QueueUrl=url, MessageBody="test", MessageAttributes=number)
    traced = sqs.call(
        "SendMessage", QueueUrl=url, MessageBody="test", MessageAttributes=number, MessageSystemAttributes=trace
    )
    assert plain["MD5OfMessageAttributes"] == traced["MD5OfMessageAttributes"] == "235c5c510d26fb653d073faed50ae77c"
    assert "MD5OfMessageSystemAttributes" not in plain
    assert traced["MD5OfMessageSystemAttributes"] == "5ae4d5d7636402d80f4eb6d213245a88"


def test_the_trace_header_of_http_becomes_an_attribute(sqs: Sqs) -> None:
    """X-Amzn-Trace-Id of the request is shown as AWSTraceHeader (recorded on AWS)."""
    url = sqs.create()
    sqs.caller.trace_header = "Root=1-3152b799"
    sqs.send(url, "test")
    sqs.caller.trace_header = None
    [message] = sqs.receive(url, AttributeNames=["AWSTraceHeader"])
    assert message["Attributes"] == {"AWSTraceHeader": "Root=1-3152b799"}
