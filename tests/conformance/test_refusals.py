"""Test process: what SQS refuses: code, older code, HTTP status and message, through boto3.

Each row is a fact: most were recorded on AWS (2023-11 to 2025-12), the rest follow its API reference.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conformance.aim import Target

_SERVICE = "AWS.SimpleQueueService."
VALUE = ("InvalidParameterValue", "InvalidParameterValueException")
MISSING = ("MissingParameter", "MissingRequiredParameterException")
ATTRIBUTE_NAME = ("InvalidAttributeName", "InvalidAttributeName")
ATTRIBUTE_VALUE = ("InvalidAttributeValue", "InvalidAttributeValue")
NO_QUEUE = (_SERVICE + "NonExistentQueue", "QueueDoesNotExist")
NAME_RULE = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
ID_RULE = "can only include alphanumeric and punctuation characters. 1 to 128 in length."
NOT_THIS_TYPE = "The request include parameter that is not valid for this queue type."
BATCH_ID_RULE = (
    "A batch entry id can only contain alphanumeric characters, hyphens and underscores."
    " It can be at most 80 letters long."
)
NO_DEDUPLICATION = (
    "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"
)


def own(name: str) -> tuple[str, str]:
    """The codes of a shape whose older code is its name behind the service's."""
    return _SERVICE + name, name


@dataclass(frozen=True)
class Refusal:
    """One request that SQS refuses; `queue` is the kind of queue it goes to, with these attributes."""

    operation: str
    members: dict[str, Any]
    codes: tuple[str, str]
    message: str
    status: int = 400
    queue: str = "queue"
    attributes: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.operation}-{self.message[:40]}"


def string(value: str, kind: str = "String") -> dict[str, str]:
    return {"DataType": kind, "StringValue": value}


def entries(count: int, **members: Any) -> list[dict[str, Any]]:
    return [{"Id": f"entry-{i}", **members} for i in range(count)]


def sends(**members: Any) -> dict[str, Any]:
    return {"MessageBody": "body", **members}


SENDING = [
    Refusal("send_message", {"MessageBody": ""}, MISSING, "The request must contain the parameter MessageBody."),
    Refusal(
        "send_message",
        sends(MessageAttributes={"ErrorDetails": string("")}),
        VALUE,
        "Message (user) attribute 'ErrorDetails' must contain a non-empty value of type 'String'.",
    ),
    Refusal(
        "send_message",
        sends(MessageAttributes={"k": string("x")}, MessageBody="a" * (1_048_576 - 7)),
        VALUE,
        "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.",
    ),
    Refusal(
        "send_message",
        sends(MessageAttributes={"k": string("x")}, MessageBody="a" * (1_024 - 7)),
        VALUE,
        "One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes.",
        attributes={"MaximumMessageSize": "1024"},
    ),
    *(
        Refusal(
            "send_message",
            sends(MessageGroupId=bad),
            VALUE,
            f"Value {bad} for parameter MessageGroupId is invalid. Reason: MessageGroupId {ID_RULE}",
        )
        for bad in ("", "a" * 129, "group 123")
    ),
    *(
        Refusal(
            "send_message",
            sends(MessageGroupId="test", MessageDeduplicationId=bad),
            VALUE,
            f"Value {bad} for parameter MessageDeduplicationId is invalid. Reason: MessageDeduplicationId {ID_RULE}",
            queue="fifo",
        )
        for bad in ("", "a" * 129, "group 123")
    ),
    Refusal(
        "send_message",
        sends(DelaySeconds=901),
        VALUE,
        "Value 901 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.",
    ),
    Refusal(
        "send_message",
        sends(DelaySeconds=2, MessageGroupId="1"),
        VALUE,
        f"Value 2 for parameter DelaySeconds is invalid. Reason: {NOT_THIS_TYPE}",
        queue="fifo",
    ),
    Refusal(
        "send_message",
        sends(MessageGroupId="g"),
        VALUE,
        NO_DEDUPLICATION,
        queue="fifo",
        attributes={"ContentBasedDeduplication": "false"},
    ),
    Refusal(
        "send_message",
        sends(MessageDeduplicationId="d"),
        MISSING,
        "The request must contain the parameter MessageGroupId.",
        queue="fifo",
    ),
    *(
        Refusal("send_message", sends(MessageAttributes=attributes), VALUE, "")
        for attributes in (
            {"attr1": string("Invalid-\x08,\x0b")},
            *({f"{prefix}-x": string("v")} for prefix in ("aWs.", "AMAZON.", ".")),
            *({f"Invalid-{character}-attr": string("v")} for character in '!"§(?'),
            {"L" * 257: string("v")},
            {"name": string("v", "Invalid")},
            {"name": string("v", "Number." + "L" * 256)},
            {"Invalid.": string("v")},
            {"name": string("word", "Number")},
        )
    ),
    Refusal("send_message", {"MessageBody": "Invalid-\x00-\x08-\x13-\uffff"}, ("InvalidMessageContents",) * 2, ""),
]

BATCHES = [
    Refusal("send_message_batch", {"Entries": []}, own("EmptyBatchRequest"), ""),
    Refusal(
        "send_message_batch",
        {"Entries": entries(20, MessageBody="b")},
        own("TooManyEntriesInBatchRequest"),
        "Maximum number of entries per request are 10. You have sent 20.",
    ),
    Refusal(
        "send_message_batch",
        {"Entries": [{"Id": "message:1", "MessageBody": "b"}]},
        own("InvalidBatchEntryId"),
        BATCH_ID_RULE,
    ),
    Refusal(
        "send_message_batch",
        {"Entries": entries(1, MessageBody="b") * 2},
        own("BatchEntryIdsNotDistinct"),
        "Id entry-0 repeated.",
    ),
    Refusal(
        "send_message_batch",
        {
            "Entries": [
                {"Id": "1", "MessageBody": "a" * (1_048_576 - 8), "MessageAttributes": {"k": string("x")}},
                {"Id": "2", "MessageBody": "a"},
            ]
        },
        own("BatchRequestTooLong"),
        "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes.",
    ),
    Refusal(
        "send_message_batch",
        {"Entries": entries(2, MessageBody="b", MessageDeduplicationId="d")},
        VALUE,
        "The request must contain the parameter MessageGroupId.",
        queue="fifo",
    ),
    Refusal(
        "send_message_batch",
        {"Entries": entries(2, MessageBody="b", MessageGroupId="g")},
        VALUE,
        NO_DEDUPLICATION,
        queue="fifo",
        attributes={"ContentBasedDeduplication": "false"},
    ),
    *(
        Refusal(
            "delete_message_batch",
            {"Entries": [{"Id": bad, "ReceiptHandle": "h"}]},
            own("InvalidBatchEntryId"),
            BATCH_ID_RULE,
        )
        for bad in ("", "testLongId" * 10, "invalid:id")
    ),
    Refusal(
        "delete_message_batch",
        {"Entries": entries(20, ReceiptHandle="h")},
        own("TooManyEntriesInBatchRequest"),
        "Maximum number of entries per request are 10. You have sent 20.",
    ),
    Refusal(
        "change_message_visibility_batch",
        {"Entries": entries(20, ReceiptHandle="h", VisibilityTimeout=123)},
        own("TooManyEntriesInBatchRequest"),
        "Maximum number of entries per request are 10. You have sent 20.",
    ),
]

RECEIVING = [
    Refusal(
        "receive_message",
        {"MaxNumberOfMessages": 11},
        VALUE,
        "Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.",
    ),
    *(
        Refusal(
            "receive_message",
            {"WaitTimeSeconds": bad},
            VALUE,
            f"Value {bad} for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.",
        )
        for bad in (21, -1)
    ),
    Refusal(
        "delete_message",
        {"ReceiptHandle": "garbage"},
        ("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid"),
        'The input receipt handle "garbage" is not a valid receipt handle.',
        status=404,
    ),
    Refusal(
        "change_message_visibility",
        {"ReceiptHandle": "INVALID", "VisibilityTimeout": 60},
        ("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid"),
        'The input receipt handle "INVALID" is not a valid receipt handle.',
        status=404,
    ),
    Refusal(
        "change_message_visibility",
        {"ReceiptHandle": "h"},
        MISSING,
        "The request must contain the parameter VisibilityTimeout.",
    ),
]

ATTRIBUTES = [
    *(
        Refusal(
            "set_queue_attributes", {"Attributes": {"FifoQueue": value}}, ATTRIBUTE_NAME, "Unknown Attribute FifoQueue."
        )
        for value in ("true", "false")
    ),
    Refusal(
        "set_queue_attributes",
        {"Attributes": {"FifoQueue": "false"}},
        ATTRIBUTE_VALUE,
        "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported.",
        queue="fifo",
    ),
    Refusal(
        "set_queue_attributes",
        {"Attributes": {"KmsMasterKeyId": "testKeyId", "SqsManagedSseEnabled": "true"}},
        ATTRIBUTE_NAME,
        "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE.",
    ),
    Refusal(
        "set_queue_attributes",
        {"Attributes": {"RedrivePolicy": '{"deadLetterTargetArn": "dummy", "maxReceiveCount": 42}'}},
        VALUE,
        'Value {"deadLetterTargetArn": "dummy", "maxReceiveCount": 42} for parameter RedrivePolicy is invalid.'
        " Reason: Invalid value for deadLetterTargetArn.",
    ),
    Refusal("get_queue_attributes", {"AttributeNames": ["Foobar"]}, ATTRIBUTE_NAME, "Unknown Attribute Foobar."),
    *(
        Refusal(
            "set_queue_attributes",
            {"Attributes": {name: value}},
            ATTRIBUTE_VALUE,
            f"Invalid value for the parameter {name}.",
        )
        for name, value in (
            ("DelaySeconds", "901"),
            ("MaximumMessageSize", "1023"),
            ("MaximumMessageSize", "1048577"),
            ("MessageRetentionPeriod", "59"),
            ("ReceiveMessageWaitTimeSeconds", "21"),
            ("VisibilityTimeout", "43201"),
            ("VisibilityTimeout", "-1"),
        )
    ),
    Refusal("add_permission", {"Label": "l", "AWSAccountIds": ["000000000000"], "Actions": ["CreateQueue"]}, VALUE, ""),
    Refusal(
        "remove_permission",
        {"Label": "nothing"},
        VALUE,
        "Value nothing for parameter Label is invalid. Reason: can't find label.",
    ),
]

CREATING = [
    *(
        Refusal(
            "create_queue",
            {"QueueName": "conformance-refused", "Attributes": attributes},
            ATTRIBUTE_NAME,
            message,
            queue="",
        )
        for attributes, message in (
            ({"FifoQueue": "false"}, "Unknown Attribute FifoQueue."),
            ({"ContentBasedDeduplication": "false"}, "Unknown Attribute ContentBasedDeduplication."),
            (
                {"DeduplicationScope": "queue"},
                "You can specify the DeduplicationScope only when FifoQueue is set to true.",
            ),
            (
                {"FifoThroughputLimit": "perQueue"},
                "You can specify the FifoThroughputLimit only when FifoQueue is set to true.",
            ),
        )
    ),
    Refusal("create_queue", {"QueueName": "invalid", "Attributes": {"FifoQueue": "true"}}, VALUE, "", queue=""),
    *(
        Refusal("create_queue", {"QueueName": name}, VALUE, NAME_RULE, queue="")
        for name in ("conformance.fifo", "queue/with/slashes", "a" * 81)
    ),
    Refusal(
        "get_queue_url", {"QueueName": "conformance-none"}, NO_QUEUE, "The specified queue does not exist.", queue=""
    ),
    Refusal("list_queues", {"MaxResults": 1_001}, VALUE, "", queue=""),
    Refusal(
        "cancel_message_move_task",
        {"TaskHandle": "foobared"},
        VALUE,
        "Value for parameter TaskHandle is invalid.",
        queue="",
    ),
    Refusal(
        "start_message_move_task",
        {"SourceArn": "arn:aws:sqs:us-east-1:000000000000:conformance-none"},
        ("ResourceNotFoundException", "ResourceNotFoundException"),
        "The resource that you specified for the SourceArn parameter doesn't exist.",
        status=404,
        queue="",
    ),
]


@pytest.mark.parametrize("refusal", [*SENDING, *BATCHES, *RECEIVING, *ATTRIBUTES, *CREATING], ids=str)
def test_refusal(target: Target, refusal: Refusal) -> None:
    """SQS refuses the request with these codes, this status and, where a row names one, this message."""
    members = dict(refusal.members)
    if refusal.queue:
        members["QueueUrl"] = getattr(target, refusal.queue)(**refusal.attributes)
    error = target.refused(refusal.operation, **members)
    assert (error["Code"], error["QueryErrorCode"]) == refusal.codes
    assert error["Status"] == refusal.status
    assert error["Type"] == "Sender"
    if refusal.message:
        assert error["Message"] == refusal.message


def test_a_deleted_queue_does_not_exist(target: Target) -> None:
    """Every action on a deleted queue answers NonExistentQueue; its name rests for 60 seconds."""
    name = target.name()
    url = target.made(name, {})
    target.client.delete_queue(QueueUrl=url)
    for operation, members in (("get_queue_attributes", {"QueueUrl": url}), ("get_queue_url", {"QueueName": name})):
        error = target.refused(operation, **members)
        assert (error["Code"], error["QueryErrorCode"]) == NO_QUEUE
        assert (error["Status"], error["Message"]) == (400, "The specified queue does not exist.")
    error = target.refused("create_queue", QueueName=name)
    assert (error["Code"], error["QueryErrorCode"]) == own("QueueDeletedRecently")
    assert error["Message"] == (
        "You must wait 60 seconds after deleting a queue before you can create another with the same name."
    )


def test_boto3_raises_the_exception_class_of_the_shape(target: Target) -> None:
    """The older code stands in Error.Code, and the class is still that of the shape."""
    with pytest.raises(target.client.exceptions.QueueDoesNotExist):
        target.client.get_queue_url(QueueName="conformance-none")
    with pytest.raises(target.client.exceptions.ReceiptHandleIsInvalid):
        target.client.delete_message(QueueUrl=target.queue(), ReceiptHandle="garbage")


def test_successive_purges(target: Target) -> None:
    """A second purge within 60 seconds is refused with 403, in the name of the queue."""
    url = target.queue()
    target.client.purge_queue(QueueUrl=url)
    error = target.refused("purge_queue", QueueUrl=url)
    assert (error["Code"], error["QueryErrorCode"]) == own("PurgeQueueInProgress")
    name = url.rpartition("/")[2]
    assert (error["Status"], error["Message"]) == (
        403,
        f"Only one PurgeQueue operation on {name} is allowed every 60 seconds.",
    )


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        ("queue", {"ReceiveMessageWaitTimeSeconds": "1", "DelaySeconds": "1"}, {"DelaySeconds": "2"}),
        ("fifo", {}, {"FifoQueue": "true", "ContentBasedDeduplication": "false"}),
    ],
)
def test_create_again_with_another_attribute(
    target: Target, kind: str, first: dict[str, str], second: dict[str, str]
) -> None:
    """A queue that exists is refused by the name of the first attribute that differs."""
    url = getattr(target, kind)(**first)
    name = url.rpartition("/")[2]
    error = target.refused("create_queue", QueueName=name, Attributes=second)
    assert (error["Code"], error["QueryErrorCode"], error["Status"]) == ("QueueAlreadyExists", "QueueNameExists", 400)
    attribute = list(second)[-1]
    assert error["Message"] == (
        f"A queue already exists with the same name and a different value for attribute {attribute}"
    )


def test_change_of_a_deleted_message(target: Target) -> None:
    """The visibility of a deleted message cannot be changed."""
    url = target.queue()
    target.send(url, "foo")
    [handle] = target.handles(url, WaitTimeSeconds=5)
    target.client.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=42)
    target.client.delete_message(QueueUrl=url, ReceiptHandle=handle)
    error = target.refused("change_message_visibility", QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=42)
    assert error["Code"] == "InvalidParameterValue"
    assert error["Message"] == (
        f"Value {handle} for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available"
        " for visibility timeout change."
    )


def test_visibility_beyond_twelve_hours(target: Target) -> None:
    """Twelve hours from now are more than twelve hours from the receive: refused, not cut short."""
    url = target.queue()
    target.send(url, "foo")
    [handle] = target.handles(url, WaitTimeSeconds=5)
    error = target.refused("change_message_visibility", QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=43_200)
    assert error["Code"] == "InvalidParameterValue"
    assert error["Message"] == (
        "Value 43200 for parameter VisibilityTimeout is invalid."
        " Reason: Total VisibilityTimeout for the message is beyond the limit [43200 seconds]"
    )
    target.client.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=43_195)
