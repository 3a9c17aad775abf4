"""Test process: what the SQS server refuses, in the words of AWS, and what it accepts although it looks odd."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from worker.testing.sqs_server import limits
from worker.testing.sqs_server.broker import Options

if TYPE_CHECKING:
    from tests.testing.sqs_server.model import Sqs

TYPE = "The request include parameter that is not valid for this queue type."
NAME = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
ID_RULE = "can only include alphanumeric and punctuation characters. 1 to 128 in length."
BATCH_ID = (
    "A batch entry id can only contain alphanumeric characters, hyphens and underscores."
    " It can be at most 80 letters long."
)


def string(value: str, kind: str = "String") -> dict[str, str]:
    return {"DataType": kind, "StringValue": value}


BAD_NAMES: list[tuple[dict[str, Any], str, str]] = [
    ({}, "InvalidParameterValue", "Value for parameter QueueName is invalid. Reason: Must specify a queue name."),
    ({"QueueName": ""}, "InvalidParameterValue", "Queue name cannot be empty"),
    ({"QueueName": "a b"}, "InvalidParameterValue", NAME),
    ({"QueueName": "a" * 81}, "InvalidParameterValue", NAME),
    ({"QueueName": "with/slash"}, "InvalidParameterValue", NAME),
    ({"QueueName": "q.fifo"}, "InvalidParameterValue", NAME),
    ({"QueueName": "q", "Attributes": {"FifoQueue": "true"}}, "InvalidParameterValue", "must end with .fifo suffix"),
    ({"QueueName": "q", "Attributes": {"FifoQueue": "false"}}, "InvalidAttributeName", "Unknown Attribute FifoQueue."),
]


@pytest.mark.parametrize(("request_members", "code", "message"), BAD_NAMES)
def test_queue_names(sqs: Sqs, request_members: dict[str, Any], code: str, message: str) -> None:
    """CreateQueue refuses names that SQS refuses."""
    error = sqs.refused("CreateQueue", **request_members)
    assert error.code == code
    assert message in error.message


def outside(name: str, low: int, high: int) -> list[tuple[dict[str, str], str, str]]:
    text = f"Invalid value for the parameter {name}."
    values = [str(low - 1), str(high + 1), "x", "", " 5", "1.5", "-1"]
    return [({name: value}, "InvalidAttributeValue", text) for value in values]


BAD_ATTRIBUTES: list[tuple[dict[str, str], str, str]] = [
    *outside("DelaySeconds", 0, 900),
    *outside("MaximumMessageSize", 1024, 1_048_576),
    *outside("MessageRetentionPeriod", 60, 1_209_600),
    *outside("ReceiveMessageWaitTimeSeconds", 0, 20),
    *outside("VisibilityTimeout", 0, 43_200),
    *outside("KmsDataKeyReusePeriodSeconds", 60, 86_400),
    ({"Foo": "1"}, "InvalidAttributeName", "Unknown Attribute Foo."),
    ({"QueueArn": "x"}, "InvalidAttributeName", "Unknown Attribute QueueArn."),
    ({"ContentBasedDeduplication": "true"}, "InvalidAttributeName", "Unknown Attribute ContentBasedDeduplication."),
    (
        {"DeduplicationScope": "queue"},
        "InvalidAttributeName",
        "You can specify the DeduplicationScope only when FifoQueue is set to true.",
    ),
    (
        {"FifoThroughputLimit": "perQueue"},
        "InvalidAttributeName",
        "You can specify the FifoThroughputLimit only when FifoQueue is set to true.",
    ),
    ({"SqsManagedSseEnabled": "yes"}, "InvalidAttributeValue", "SqsManagedSseEnabled"),
    ({"Policy": "{"}, "InvalidAttributeValue", "Invalid value for the parameter Policy."),
    ({"Policy": "[]"}, "InvalidAttributeValue", "Invalid value for the parameter Policy."),
    (
        {"KmsMasterKeyId": "k", "SqsManagedSseEnabled": "true"},
        "InvalidAttributeName",
        "You can use one type of server-side encryption (SSE) at one time.",
    ),
    ({"RedrivePolicy": " "}, "InvalidAttributeValue", "Reason: Redrive policy is not a valid JSON map."),
    ({"RedrivePolicy": "[]"}, "InvalidAttributeValue", "Reason: Redrive policy is not a valid JSON map."),
    ({"RedrivePolicy": "{}"}, "InvalidParameterValue", "does not contain mandatory attribute: maxReceiveCount."),
    (
        {"RedrivePolicy": '{"maxReceiveCount":5}'},
        "InvalidParameterValue",
        'Value {"maxReceiveCount":5} for parameter RedrivePolicy is invalid. '
        "Reason: Redrive policy does not contain mandatory attribute: deadLetterTargetArn.",
    ),
    (
        {"RedrivePolicy": '{"deadLetterTargetArn": "dummy", "maxReceiveCount": 42}'},
        "InvalidParameterValue",
        'Value {"deadLetterTargetArn": "dummy", "maxReceiveCount": 42} for parameter RedrivePolicy is invalid. '
        "Reason: Invalid value for deadLetterTargetArn.",
    ),
    (
        {"RedrivePolicy": '{"deadLetterTargetArn":"arn:aws:sns:us-east-1:000000000000:t","maxReceiveCount":5}'},
        "InvalidParameterValue",
        "Only SQS queues are valid resources for deadLetterTargetArn.",
    ),
    (
        {"RedrivePolicy": '{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:d.fifo","maxReceiveCount":5}'},
        "InvalidParameterValue",
        "Dead-letter queue must be same type of queue as the source.",
    ),
    (
        {"RedrivePolicy": '{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:none","maxReceiveCount":5}'},
        "InvalidParameterValue",
        "Dead letter target does not exist.",
    ),
    *(
        (
            {
                "RedrivePolicy": '{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:d",'
                f'"maxReceiveCount":{n}}}'
            },
            "InvalidParameterValue",
            "valid values are from 1 to 1000 both inclusive.",
        )
        for n in ("0", "1001", '"many"', "true", "null")
    ),
    (
        {"RedrivePolicy": '{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:d","maxReceiveCount":1,"x":1}'},
        "InvalidParameterValue",
        "Only following attributes are supported: [maxReceiveCount, deadLetterTargetArn].",
    ),
    *(
        ({"RedriveAllowPolicy": text}, "InvalidAttributeValue", "Amazon SQS can't create the redrive allow policy")
        for text in ("x", "[]", "{}", '{"redrivePermission":"no"}', '{"redrivePermission":"allowAll","x":1}')
    ),
    (
        {"RedriveAllowPolicy": '{"redrivePermission":"byQueue"}'},
        "InvalidParameterValue",
        "you must also specify one or more sourceQueueArns values.",
    ),
    (
        {"RedriveAllowPolicy": '{"redrivePermission":"denyAll","sourceQueueArns":["a"]}'},
        "InvalidParameterValue",
        "you must set redrivePermission to byQueue.",
    ),
]


@pytest.mark.parametrize("when", ["create", "set"])
@pytest.mark.parametrize(("attributes", "code", "message"), BAD_ATTRIBUTES)
def test_queue_attributes(sqs: Sqs, when: str, attributes: dict[str, str], code: str, message: str) -> None:
    """CreateQueue and SetQueueAttributes refuse the same attributes, and then change nothing."""
    if when == "create":
        error = sqs.refused("CreateQueue", QueueName="q", Attributes=attributes)
        assert sqs.call("ListQueues") == {}
    else:
        url = sqs.create()
        before = sqs.call("GetQueueAttributes", QueueUrl=url, AttributeNames=["All"])
        error = sqs.refused("SetQueueAttributes", QueueUrl=url, Attributes=attributes)
        assert sqs.call("GetQueueAttributes", QueueUrl=url, AttributeNames=["All"]) == before
    assert error.code == code
    assert message in error.message


BAD_SENDS: list[tuple[str, dict[str, Any], str, str]] = [
    ("q", {}, "MissingParameter", "The request must contain the parameter MessageBody."),
    ("q", {"MessageBody": ""}, "MissingParameter", "The request must contain the parameter MessageBody."),
    ("q", {"MessageBody": {}}, "", "Start of structure or map found where not expected."),
    ("q", {"MessageBody": "a\x01"}, "InvalidMessageContents", "Invalid binary character '#x1' was found"),
    ("q", {"MessageBody": "a\uffff"}, "InvalidMessageContents", "#xFFFF"),
    ("q", {"MessageBody": "a", "DelaySeconds": -1}, "InvalidParameterValue", "DelaySeconds must be >= 0 and <= 900."),
    ("q", {"MessageBody": "a", "DelaySeconds": 901}, "InvalidParameterValue", "Value 901 for parameter DelaySeconds"),
    ("q", {"MessageBody": "a", "DelaySeconds": "x"}, "", "STRING_VALUE can not be converted to an Integer"),
    ("q", {"MessageBody": "a", "MessageDeduplicationId": "x"}, "InvalidParameterValue", TYPE),
    ("q", {"MessageBody": "a", "MessageGroupId": ""}, "InvalidParameterValue", f"MessageGroupId {ID_RULE}"),
    (
        "q",
        {"MessageBody": "a", "MessageGroupId": "a b"},
        "InvalidParameterValue",
        "Value a b for parameter MessageGroupId",
    ),
    ("q", {"MessageBody": "a", "MessageGroupId": "x" * 129}, "InvalidParameterValue", ID_RULE),
    ("q.fifo", {"MessageBody": "a"}, "MissingParameter", "The request must contain the parameter MessageGroupId."),
    (
        "q.fifo",
        {"MessageBody": "a", "MessageGroupId": "g"},
        "InvalidParameterValue",
        "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
    ),
    (
        "q.fifo",
        {"MessageBody": "a", "MessageGroupId": "g", "MessageDeduplicationId": ""},
        "InvalidParameterValue",
        f"Value  for parameter MessageDeduplicationId is invalid. Reason: MessageDeduplicationId {ID_RULE}",
    ),
    *(
        ("q", {"MessageBody": "a", "MessageAttributes": attributes}, "InvalidParameterValue", message)
        for attributes, message in (
            ({"": string("v")}, "The request must contain non-empty message (user) attribute names."),
            ({"x" * 257: string("v")}, "Message (user) attribute name must be shorter than 256 bytes."),
            ({"AWS.x": string("v")}, "You can't use message attribute names beginning with 'AWS.' or 'Amazon'."),
            ({"aMaZoN.x": string("v")}, "You can't use message attribute names beginning with 'AWS.' or 'Amazon'."),
            ({".x": string("v")}, "Invalid message (user) attribute name '.x'."),
            ({"x.": string("v")}, "Invalid message (user) attribute name 'x.'."),
            ({"x..y": string("v")}, "Invalid message (user) attribute name 'x..y'."),
            *(({f"x{c}y": string("v")}, "Invalid message (user) attribute name") for c in '!"§(?'),
            ({"x": {}}, "must contain a non-empty message attribute value."),
            ({"x": {"StringValue": "v"}}, "must contain a non-empty message attribute type."),
            ({"x": string("")}, "Message (user) attribute 'x' must contain a non-empty value of type 'String'."),
            (
                {"x": {"DataType": "Binary"}},
                "Message (user) attribute 'x' must contain a non-empty value of type 'Binary'.",
            ),
            ({"x": string("v", "Invalid")}, "The type of message (user) attribute 'x' is invalid."),
            ({"x": string("v", "Number")}, "Can't cast the value of message (user) attribute 'x' to a number."),
            (
                {"x": string("v", "String." + "y" * 250)},
                "Message (user) attribute type must be shorter than 256 bytes.",
            ),
            ({"x": string("\x08")}, "Invalid characters in the value of message (user) attribute 'x'."),
            (
                {f"x{i}": string("v") for i in range(11)},
                "Number of message attributes [11] exceeds the allowed maximum [10].",
            ),
        )
    ),
    (
        "q",
        {"MessageBody": "a", "MessageAttributes": {"x": {"DataType": "StringList", "StringListValues": ["a"]}}},
        "AWS.SimpleQueueService.UnsupportedOperation",
        "Message attribute list values in SendMessage operation are not supported.",
    ),
    (
        "q",
        {"MessageBody": "a", "MessageSystemAttributes": {"Hello": string("v")}},
        "InvalidParameterValue",
        "Message system attribute name 'Hello' is invalid.",
    ),
]


@pytest.mark.parametrize(("name", "members", "code", "message"), BAD_SENDS)
def test_sends(sqs: Sqs, name: str, members: dict[str, Any], code: str, message: str) -> None:
    """SendMessage refuses what SQS refuses, and the queue stays empty."""
    url = sqs.create(name)
    error = sqs.refused("SendMessage", QueueUrl=url, **members)
    assert error.code == code
    assert message in error.message
    assert sqs.depths(url) == (0, 0, 0)


@pytest.mark.parametrize(
    "attributes",
    [
        {"attr.1øßä": string("v")},
        {"x": string("-1.5e10", "Number")},
        {"x": string("12345678901234567890", "Number.big")},
        {"x": {"DataType": "Binary.png", "BinaryValue": "AAEC"}},
        {"x": string("tab\tline\nreturn\r")},
    ],
)
def test_odd_attributes_that_are_valid(sqs: Sqs, attributes: dict[str, Any]) -> None:
    """Names in any alphabet, custom types, tabs and line feeds come back as they were sent."""
    url = sqs.create()
    sqs.send(url, "a", MessageAttributes=attributes)
    [message] = sqs.receive(url, MessageAttributeNames=["All"])
    assert message["MessageAttributes"] == attributes


def test_a_message_of_exactly_one_mebibyte(sqs: Sqs) -> None:
    """Body, attribute names, types and values count; 1,048,576 bytes pass, one more does not."""
    url = sqs.create()
    attributes = {"k": string("x")}
    size = limits.MESSAGE_BYTES - len("kStringx")
    sqs.send(url, "a" * size, MessageAttributes=attributes)
    error = sqs.refused("SendMessage", QueueUrl=url, MessageBody="a" * (size + 1), MessageAttributes=attributes)
    assert error.message == "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes."
    assert sqs.refused("SendMessage", QueueUrl=url, MessageBody="é" * (limits.MESSAGE_BYTES // 2 + 1))


BAD_RECEIVES = [
    (
        {"MaxNumberOfMessages": 0},
        "Value 0 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10,",
    ),
    ({"MaxNumberOfMessages": 11}, "Must be between 1 and 10, if provided."),
    ({"VisibilityTimeout": -1}, "Must be >= 0 and <= 43200, if provided."),
    ({"VisibilityTimeout": 43_201}, "Must be >= 0 and <= 43200, if provided."),
    ({"WaitTimeSeconds": -1}, "Value -1 for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20,"),
    ({"WaitTimeSeconds": 21}, "Must be >= 0 and <= 20, if provided."),
    ({"AttributeNames": ["Foo"]}, "Unknown Attribute Foo."),
    ({"MessageSystemAttributeNames": ["Foo"]}, "Unknown Attribute Foo."),
]


@pytest.mark.parametrize(("members", "message"), BAD_RECEIVES)
def test_receives(sqs: Sqs, members: dict[str, Any], message: str) -> None:
    """ReceiveMessage refuses what is out of range or unknown."""
    assert message in sqs.refused("ReceiveMessage", QueueUrl=sqs.create(), **members).message


@pytest.mark.parametrize("seconds", [-1, 43_201])
def test_changes_out_of_range(sqs: Sqs, seconds: int) -> None:
    """A visibility timeout out of range is refused alone, and fails its entry in a batch."""
    url = sqs.create()
    sqs.send(url, "a")
    change = {"ReceiptHandle": sqs.one(url), "VisibilityTimeout": seconds}
    single = sqs.refused("ChangeMessageVisibility", QueueUrl=url, **change)
    assert (
        single.message
        == f"Value {seconds} for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and 43200."
    )
    [failed] = sqs.call("ChangeMessageVisibilityBatch", QueueUrl=url, Entries=[{"Id": "a", **change}])["Failed"]
    assert failed["Code"] == "InvalidParameterValue"
    assert "VisibilityTimeout must be an integer between 0 and 43200." in failed["Message"]


BATCHES: dict[str, tuple[str, dict[str, Any]]] = {
    "SendMessageBatch": ("SendMessageBatchRequestEntry", {"MessageBody": "a"}),
    "DeleteMessageBatch": ("DeleteMessageBatchRequestEntry", {"ReceiptHandle": "x"}),
    "ChangeMessageVisibilityBatch": (
        "ChangeMessageVisibilityBatchRequestEntry",
        {"ReceiptHandle": "x", "VisibilityTimeout": 1},
    ),
}


@pytest.mark.parametrize("action", BATCHES)
def test_batches_that_fail_as_a_whole(sqs: Sqs, action: str) -> None:
    """Missing, empty, too many, nameless, badly named and repeated entries make SQS refuse the whole batch."""
    kind, entry = BATCHES[action]
    url = sqs.create()
    cases: list[tuple[Any, str, str]] = [
        (None, "MissingParameter", "The request must contain the parameter Entries."),
        ([], "AWS.SimpleQueueService.EmptyBatchRequest", f"There should be at least one {kind} in the request."),
        (
            [{"Id": str(i), **entry} for i in range(11)],
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            "Maximum number of entries per request are 10. You have sent 11.",
        ),
        ([{"Id": "a", **entry}, entry], "MissingParameter", f"The request must contain the parameter {kind}.2.Id."),
        *(
            ([{"Id": bad, **entry}], "AWS.SimpleQueueService.InvalidBatchEntryId", BATCH_ID)
            for bad in ("", " ", "a:b", "é", "x" * 81)
        ),
        (
            [{"Id": "a", **entry}, {"Id": "a", **entry}],
            "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
            "Id a repeated.",
        ),
        ({"Id": "a"}, "", "Start of structure or map found where not expected."),
    ]
    for entries, code, message in cases:
        error = sqs.refused(action, QueueUrl=url, **({} if entries is None else {"Entries": entries}))
        assert (error.code, error.message) == (code, message)
    assert sqs.depths(url) == (0, 0, 0)


def test_numbers_where_a_batch_has_texts(sqs: Sqs) -> None:
    """They are taken as their text, as in requests of one message."""
    url = sqs.create()
    [sent] = sqs.call("SendMessageBatch", QueueUrl=url, Entries=[{"Id": 7, "MessageBody": 42}])["Successful"]
    assert sent["Id"] == "7"
    assert sqs.bodies(url) == ["42"]
    [failed] = sqs.call("DeleteMessageBatch", QueueUrl=url, Entries=[{"Id": 7, "ReceiptHandle": 42}])["Failed"]
    assert (failed["Id"], failed["Code"]) == ("7", "ReceiptHandleIsInvalid")


@pytest.mark.parametrize("action", ["DeleteMessageBatch", "ChangeMessageVisibilityBatch"])
def test_batch_entries_without_a_usable_receipt_fail_alone(sqs: Sqs, action: str) -> None:
    """A missing, blank or foreign receipt fails its entry; the others succeed."""
    url = sqs.create()
    sqs.send(url, "a")
    timeout = {"VisibilityTimeout": 1} if action.startswith("Change") else {}
    good = {"Id": "good", "ReceiptHandle": sqs.one(url), **timeout}
    bad = [{"Id": "none", **timeout}, {"Id": "blank", "ReceiptHandle": " ", **timeout}]
    entries = [*bad, {"Id": "foreign", "ReceiptHandle": "x", **timeout}, good]
    answer = sqs.call(action, QueueUrl=url, Entries=entries)
    assert answer["Successful"] == [{"Id": "good"}]
    codes = [(failed["Id"], failed["Code"], failed["SenderFault"]) for failed in answer["Failed"]]
    missing = "MissingParameter"
    assert codes == [("none", missing, True), ("blank", missing, True), ("foreign", "ReceiptHandleIsInvalid", True)]


def test_a_change_batch_entry_without_a_timeout_fails_alone(sqs: Sqs) -> None:
    """The error names the entry's position, as AWS does."""
    entries = [{"Id": "a", "ReceiptHandle": "x"}]
    [failed] = sqs.call("ChangeMessageVisibilityBatch", QueueUrl=sqs.create(), Entries=entries)["Failed"]
    assert failed["Message"] == (
        "The request must contain the parameter ChangeMessageVisibilityBatchRequestEntry.1.VisibilityTimeout."
    )


def test_a_standard_send_batch_fails_bad_entries_alone(sqs: Sqs) -> None:
    """On a standard queue good entries are sent, bad ones listed with the sender's fault."""
    url = sqs.create(MaximumMessageSize="1024")
    entries = [
        {"Id": "good", "MessageBody": "a" * 1024},
        {"Id": "long", "MessageBody": "a" * 1025},
        {"Id": "control", "MessageBody": "\x01"},
        {"Id": "empty", "MessageBody": ""},
        {"Id": "dedup", "MessageBody": "a", "MessageDeduplicationId": "x"},
    ]
    answer = sqs.call("SendMessageBatch", QueueUrl=url, Entries=entries)
    assert [sent["Id"] for sent in answer["Successful"]] == ["good"]
    assert [(failed["Id"], failed["Code"], failed["SenderFault"]) for failed in answer["Failed"]] == [
        ("long", "InvalidParameterValue", True),
        ("control", "InvalidMessageContents", True),
        ("empty", "MissingParameter", True),
        ("dedup", "InvalidParameterValue", True),
    ]
    long, _, empty, dedup = (failed["Message"] for failed in answer["Failed"])
    assert long == "One or more parameters cannot be validated. Reason: Message must be shorter than 1024 bytes."
    assert empty == "The request must contain the parameter SendMessageBatchRequestEntry.4.MessageBody."
    assert dedup == TYPE.rstrip(".")
    assert sqs.depths(url) == (1, 0, 0)


@pytest.mark.parametrize(
    ("bad", "code", "message"),
    [
        (
            {"MessageDeduplicationId": "2"},
            "InvalidParameterValue",
            "The request must contain the parameter MessageGroupId.",
        ),
        ({"MessageGroupId": "g"}, "InvalidParameterValue", "The queue should either have ContentBasedDeduplication"),
        ({"MessageGroupId": "g", "MessageDeduplicationId": "2", "DelaySeconds": 3}, "InvalidParameterValue", TYPE),
        (
            {"MessageGroupId": "g", "MessageDeduplicationId": "2", "MessageBody": "b" * 1025},
            "InvalidParameterValue",
            "One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes.",
        ),
    ],
)
def test_a_fifo_send_batch_fails_as_a_whole(sqs: Sqs, bad: dict[str, Any], code: str, message: str) -> None:
    """On a FIFO queue one bad entry refuses the batch, and nothing of it is sent (recorded on AWS)."""
    url = sqs.create("q.fifo", MaximumMessageSize="1024")
    good = {"Id": "1", "MessageBody": "a", "MessageGroupId": "g", "MessageDeduplicationId": "1"}
    error = sqs.refused("SendMessageBatch", QueueUrl=url, Entries=[good, {"Id": "2", "MessageBody": "b", **bad}])
    assert error.code == code
    assert message in error.message
    assert sqs.depths(url) == (0, 0, 0)


def test_a_batch_beyond_one_mebibyte_is_refused(sqs: Sqs) -> None:
    """The messages of a batch together may have 1 MiB."""
    url = sqs.create()
    half = limits.MESSAGE_BYTES // 2
    entries = [{"Id": "1", "MessageBody": "a" * half}, {"Id": "2", "MessageBody": "b" * half}]
    assert len(sqs.call("SendMessageBatch", QueueUrl=url, Entries=entries)["Successful"]) == 2
    entries[1]["MessageBody"] += "b"
    error = sqs.refused("SendMessageBatch", QueueUrl=url, Entries=entries)
    assert error.code == "AWS.SimpleQueueService.BatchRequestTooLong"
    assert error.message == "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes."


@pytest.mark.parametrize(
    ("url", "code", "status"),
    [
        (None, "MissingParameter", 400),
        ("", "MissingParameter", 400),
        ("nothing", "AWS.SimpleQueueService.NonExistentQueue", 400),
        ("http://localhost:4566/000000000000/nothing", "AWS.SimpleQueueService.NonExistentQueue", 400),
        ("http://localhost:4566/111111111111/q", "AWS.SimpleQueueService.NonExistentQueue", 400),
        ("http://localhost:4566/q", "InvalidAddress", 404),
        ("http://localhost:4566/", "InvalidAddress", 404),
    ],
)
def test_queue_urls(sqs: Sqs, url: str | None, code: str, status: int) -> None:
    """A queue URL must be there, and end in the account and the name of a queue."""
    sqs.create()
    error = sqs.refused("ReceiveMessage", **({} if url is None else {"QueueUrl": url}))
    assert (error.code, error.status) == (code, status)


@pytest.mark.parametrize(
    "url", ["q", "https://sqs.us-east-1.amazonaws.com/000000000000/q", "http://other/000000000000/q"]
)
def test_any_host_and_the_bare_name_address_a_queue(sqs: Sqs, url: str) -> None:
    """The host of a queue URL does not matter, and AWS takes a queue's name in its place (recorded)."""
    sqs.create()
    assert sqs.send(url, "a")


def test_the_name_of_a_deleted_queue_rests_a_minute(sqs: Sqs, make_sqs: Callable[[Options], Sqs]) -> None:
    """For 60 s a deleted queue's name is refused, unless the server's cooldowns are off."""
    url = sqs.create()
    sqs.call("DeleteQueue", QueueUrl=url)
    assert sqs.refused("SendMessage", QueueUrl=url, MessageBody="a").shape == "QueueDoesNotExist"
    sqs.now += 59
    error = sqs.refused("CreateQueue", QueueName="q")
    assert error.code == "AWS.SimpleQueueService.QueueDeletedRecently"
    assert error.message == (
        "You must wait 60 seconds after deleting a queue before you can create another with the same name."
    )
    sqs.now += 1
    sqs.create()
    hasty = make_sqs(Options(cooldowns=False))
    for _ in range(2):
        hasty.call("DeleteQueue", QueueUrl=hasty.create())


def test_an_unknown_action(sqs: Sqs) -> None:
    """An action that SQS does not have is an unknown operation."""
    assert sqs.refused("MakeCoffee").shape == "UnknownOperationException"
