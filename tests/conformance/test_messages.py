"""Test process: sending, receiving and deleting on standard queues, through boto3 (facts recorded on AWS)."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conformance.aim import Target


def test_send_and_receive(target: Target) -> None:
    """The MD5 of a send is that of the receive, and so is the id."""
    url = target.queue()
    sent = target.client.send_message(QueueUrl=url, MessageBody="message")
    assert sent["MD5OfMessageBody"] == "78e731027d8fd50ed642340b7c9a63b3"
    [message] = target.receive(url)
    assert message["Body"] == "message"
    assert message["MessageId"] == sent["MessageId"]
    assert message["MD5OfBody"] == sent["MD5OfMessageBody"]
    assert "SequenceNumber" not in sent


@pytest.mark.parametrize("body", ['"&quot;&quot;\r', '{\r\n"machineID" : "d357006e26ff"}', "é\U0001f600\ud7ff", "\t\n"])
def test_bodies_come_back_as_they_were(target: Target, body: str) -> None:
    """Entities, line feeds and characters beyond the first plane are kept."""
    url = target.queue()
    target.send(url, body)
    assert target.bodies(url) == [body]


def test_an_empty_queue_gives_no_messages(target: Target) -> None:
    """An empty answer has no Messages at all, short poll or long."""
    url = target.queue()
    for wait in ({}, {"WaitTimeSeconds": 0}, {"WaitTimeSeconds": 1}):
        assert "Messages" not in target.client.receive_message(QueueUrl=url, **wait)


def test_queues_do_not_mix(target: Target) -> None:
    """A message is in the queue it was sent to, and only there."""
    one, other = target.queue(), target.queue()
    target.send(one, "message")
    assert target.bodies(other) == []
    assert target.bodies(one) == ["message"]


def test_send_batch(target: Target) -> None:
    """All entries of a batch arrive under the ids that were answered; nothing failed, nothing is listed as failed."""
    url = target.queue()
    entries = [{"Id": f"message-{i}", "MessageBody": f"body-{i}"} for i in range(10)]
    answer = target.client.send_message_batch(QueueUrl=url, Entries=entries)
    assert not answer.get("Failed")
    received = target.receive(url)
    assert {sent["MessageId"] for sent in answer["Successful"]} == {message["MessageId"] for message in received}
    handles = [{"Id": str(i), "ReceiptHandle": message["ReceiptHandle"]} for i, message in enumerate(received)]
    deleted = target.client.delete_message_batch(QueueUrl=url, Entries=handles)
    assert [one["Id"] for one in deleted["Successful"]] == [str(i) for i in range(10)]
    target.wait_for_depths(url, (0, 0, 0))


def test_a_bad_character_fails_its_entry(target: Target) -> None:
    """Of ten entries the one with a control character fails alone."""
    url = target.queue()
    entries = [{"Id": str(i), "MessageBody": str(i)} for i in range(9)] + [{"Id": "9", "MessageBody": "\x01"}]
    answer = target.client.send_message_batch(QueueUrl=url, Entries=entries)
    [failed] = answer["Failed"]
    assert (failed["Id"], failed["Code"], failed["SenderFault"]) == ("9", "InvalidMessageContents", True)
    assert set(target.bodies(url, WaitTimeSeconds=1)) == set("012345678")


def test_a_long_message_fails_its_entry(target: Target) -> None:
    """An entry above MaximumMessageSize fails alone, in words of its own."""
    url = target.queue(MaximumMessageSize="1024")
    entries: Any = [{"Id": "fits", "MessageBody": "a" * 1024}, {"Id": "long", "MessageBody": "a" * 1025}]
    answer = target.client.send_message_batch(QueueUrl=url, Entries=entries)
    [sent] = answer["Successful"]
    assert (sent["Id"], sent["MD5OfMessageBody"]) == ("fits", "c9a34cfc85d982698c6ac89f76071abd")
    message = "One or more parameters cannot be validated. Reason: Message must be shorter than 1024 bytes."
    failed = {"Id": "long", "Code": "InvalidParameterValue", "Message": message, "SenderFault": True}
    assert answer["Failed"] == [failed]


def test_entries_up_to_the_queues_maximum(target: Target) -> None:
    """Attributes count to a message's size, and a message of exactly the maximum is sent; MD5s are recorded ones."""
    url = target.queue(MaximumMessageSize="2048")
    attributes = {"k": {"DataType": "String", "StringValue": "x"}}
    entries: Any = [
        {"Id": "1", "MessageBody": "a" * 2_040, "MessageAttributes": attributes},
        {"Id": "2", "MessageBody": "a"},
    ]
    answer = target.client.send_message_batch(QueueUrl=url, Entries=entries)
    assert "Failed" not in answer
    first, second = answer["Successful"]
    assert first["MD5OfMessageAttributes"] == "a45daa70926828a2f0a1db3418e6feb4"
    assert first["MD5OfMessageBody"] == "f44facf5a7ee0af446ecf3e0f854441e"
    assert second["MD5OfMessageBody"] == "0cc175b9c0f1b6a831c399e269772661"


def test_failed_entries_of_deletes_and_changes(target: Target) -> None:
    """A foreign receipt fails its entry as ReceiptHandleIsInvalid by the sender's fault; the others succeed."""
    url = target.queue()
    target.send(url, "a")
    [handle] = target.handles(url)
    good, bad = {"Id": "good", "ReceiptHandle": handle}, {"Id": "bad", "ReceiptHandle": "garbage"}
    timeout = {"VisibilityTimeout": 60}
    client: Any = target.client
    for answer in (
        client.change_message_visibility_batch(QueueUrl=url, Entries=[good | timeout, bad | timeout]),
        client.delete_message_batch(QueueUrl=url, Entries=[good, bad]),
    ):
        assert answer["Successful"] == [{"Id": "good"}]
        [failed] = answer["Failed"]
        assert (failed["Id"], failed["Code"], failed["SenderFault"]) == ("bad", "ReceiptHandleIsInvalid", True)


def test_visibility_zero(target: Target) -> None:
    """A receive with visibility 0 hides nothing, and the next one has another receipt and hides."""
    url = target.queue()
    target.send(url, "foobar")
    [first] = target.handles(url, VisibilityTimeout=0)
    [second] = target.handles(url)
    assert first != second
    assert target.bodies(url) == []


def test_a_change_to_zero_is_not_permanent(target: Target) -> None:
    """Visibility 0 gives the message once more, which then is hidden for the queue's own time."""
    url = target.queue()
    target.send(url, "test")
    [handle] = target.handles(url)
    target.client.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
    assert target.bodies(url) == ["test"]
    assert target.bodies(url) == []


def test_an_old_receipt_ends_the_visibility_of_a_new_receive(target: Target) -> None:
    """On a standard queue an older receipt can still make the message visible."""
    url = target.queue()
    target.send(url, "test")
    [old] = target.handles(url, VisibilityTimeout=0, WaitTimeSeconds=2)
    assert len(target.handles(url, VisibilityTimeout=30)) == 1
    target.client.change_message_visibility(QueueUrl=url, ReceiptHandle=old, VisibilityTimeout=0)
    assert target.bodies(url, WaitTimeSeconds=1) == ["test"]


def test_delete_again_and_again(target: Target) -> None:
    """Deleting with the same receipt succeeds every time."""
    url = target.queue()
    target.send(url, "foo")
    [handle] = target.handles(url, WaitTimeSeconds=5)
    for _ in range(3):
        target.client.delete_message(QueueUrl=url, ReceiptHandle=handle)


def test_a_name_in_place_of_the_url(target: Target) -> None:
    """QueueUrl may be the queue's bare name."""
    name = target.name()
    target.made(name, {})
    sent = target.client.send_message(QueueUrl=name, MessageBody="Using name instead of URL")
    assert sent["MD5OfMessageBody"] == "86a83f96652a1bfad3891e7d523750cb"


def test_message_attributes(target: Target) -> None:
    """Text, numbers and bytes come back as they were sent, with the MD5 of the send."""
    url = target.queue()
    attributes: Any = {
        "attr1": {"StringValue": "test1", "DataType": "String"},
        "attr.1øßä": {"StringValue": "Valida", "DataType": "String"},
        "timestamp": {"StringValue": "1614717034367", "DataType": "Number"},
        "bytes": {"BinaryValue": b"\x00\xff", "DataType": "Binary"},
    }
    sent = target.client.send_message(QueueUrl=url, MessageBody="test", MessageAttributes=attributes)
    for _ in range(2):
        [message] = target.receive(url, MessageAttributeNames=["All"], VisibilityTimeout=0)
        assert message["MessageAttributes"] == attributes
        assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]


def test_the_md5_of_binary_attributes(target: Target) -> None:
    """The MD5 of a binary attribute is the recorded one."""
    url = target.queue()
    value = b"traceparent\x1e00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01"
    attributes: Any = {"attr1": {"BinaryValue": value, "DataType": "Binary"}}
    target.client.send_message(QueueUrl=url, MessageBody="test", MessageAttributes=attributes)
    [message] = target.receive(url, MessageAttributeNames=["All"])
    assert message["MD5OfMessageAttributes"] == "8cbe4db156db8a94db8b801b7addb984"
    assert message["MessageAttributes"]["attr1"]["BinaryValue"] == value


_ALL = ("4c360f3fdafd970e05fae2f149d997f5", {"General", "Hello", "Help.Me"})


@pytest.mark.parametrize(
    ("names", "md5", "shown"),
    [
        ([], None, None),
        (["All"], *_ALL),
        (["*"], *_ALL),
        ([".*"], *_ALL),
        (["Foo", "Help"], None, None),
        (["Hello", "General"], "fca026605781cb4126a1e9044df24232", {"Hello", "General"}),
        (["Foo", "Hello"], "a311262e065454b75da111d535b8dacd", {"Hello"}),
        (["Hel.*"], "83fee93c1bcd8b9a5a923ffacdc636c7", {"Hello", "Help.Me"}),
        (["AWS."], None, None),
        (["..foo"], None, None),
    ],
)
def test_filters_of_message_attributes(
    target: Target, names: list[str], md5: str | None, shown: set[str] | None
) -> None:
    """MessageAttributeNames chooses what is shown, and the MD5 covers just that."""
    url = target.queue()
    values = {"Help.Me": "Me", "Hello": "There", "General": "Kenobi"}
    attributes: Any = {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}
    target.client.send_message(QueueUrl=url, MessageBody="msg", MessageAttributes=attributes)
    [message] = target.receive(url, MessageAttributeNames=names, WaitTimeSeconds=5)
    assert message.get("MD5OfMessageAttributes") == md5
    assert set(message.get("MessageAttributes", ())) == (shown or set())


_EVERY = {"ApproximateFirstReceiveTimestamp", "ApproximateReceiveCount", "SenderId", "SentTimestamp"}


@pytest.mark.parametrize("member", ["AttributeNames", "MessageSystemAttributeNames"])
@pytest.mark.parametrize(
    ("names", "shown"),
    [(["All"], _EVERY), (["SenderId"], {"SenderId"}), (["SenderId", "SequenceNumber"], {"SenderId"})],
)
def test_filters_of_system_attributes(target: Target, member: str, names: list[str], shown: set[str]) -> None:
    """Both members choose system attributes; those that the message does not have are left out."""
    url = target.queue()
    target.send(url, "msg")
    asked: dict[str, Any] = {member: names}
    [message] = target.receive(url, **asked)
    assert set(message["Attributes"]) == shown


def test_both_filters_of_system_attributes_add_up(target: Target) -> None:
    """With both members given, what either names is shown; the receive count rises."""
    url = target.queue(VisibilityTimeout="0")
    target.send(url, "msg")
    for count in ("1", "2"):
        [message] = target.receive(url, MessageSystemAttributeNames=["All"], AttributeNames=["SenderId"])
        assert set(message["Attributes"]) == _EVERY
        assert message["Attributes"]["ApproximateReceiveCount"] == count
        assert message["Attributes"]["SentTimestamp"].isdigit()
        assert message["Attributes"]["ApproximateFirstReceiveTimestamp"].isdigit()


def test_system_attributes_have_an_md5_of_their_own(target: Target) -> None:
    """The trace header leaves the MD5 of the other attributes alone."""
    url = target.queue()
    attributes: Any = {"timestamp": {"StringValue": "1493147359900", "DataType": "Number"}}
    header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    trace: Any = {"AWSTraceHeader": {"StringValue": header, "DataType": "String"}}
    plain = target.client.send_message(QueueUrl=url, MessageBody="test", MessageAttributes=attributes)
    traced = target.client.send_message(
        QueueUrl=url, MessageBody="test", MessageAttributes=attributes, MessageSystemAttributes=trace
    )
    assert plain["MD5OfMessageAttributes"] == traced["MD5OfMessageAttributes"]
    assert "MD5OfMessageSystemAttributes" not in plain
    assert traced["MD5OfMessageSystemAttributes"] == "5ae4d5d7636402d80f4eb6d213245a88"


@pytest.mark.parametrize("target", ["boto3"], indirect=True)  # the lean client sends no such header
def test_the_trace_header_of_the_request(target: Target) -> None:
    """The HTTP header X-Amzn-Trace-Id of a send is the message's AWSTraceHeader."""
    header = "Root=1-3152b799-8954dae64eda91bc9a23a7e8;Parent=7fa8c0f79203be72;Sampled=1"

    def add(request: Any, **_: Any) -> None:
        request.headers["X-Amzn-Trace-Id"] = header

    url = target.queue()
    target.client.meta.events.register("before-send.sqs.SendMessage", add)
    try:
        target.send(url, "test")
    finally:
        target.client.meta.events.unregister("before-send.sqs.SendMessage", add)
    [message] = target.receive(url, AttributeNames=["SentTimestamp", "AWSTraceHeader"], WaitTimeSeconds=2)
    assert message["Attributes"]["AWSTraceHeader"] == header


def test_a_fair_queue(target: Target) -> None:
    """A standard queue takes MessageGroupId, shows it, and gives no sequence number."""
    url = target.queue()
    sent = target.client.send_message(QueueUrl=url, MessageBody="message", MessageGroupId="test")
    assert "SequenceNumber" not in sent
    [message] = target.receive(url, AttributeNames=["All"], WaitTimeSeconds=5)
    assert set(message["Attributes"]) == _EVERY | {"MessageGroupId"}
    assert message["Attributes"]["MessageGroupId"] == "test"


def test_a_long_poll_does_not_wait_when_there_are_messages(target: Target) -> None:
    """A receive for more messages than there are returns at once with some."""
    url = target.queue()
    target.send(url, "foobar1", "foobar2")
    start = time.monotonic()
    assert target.bodies(url, 3, WaitTimeSeconds=5)
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("own", [True, False])
def test_a_long_poll_ends_with_a_message(target: Target, own: bool) -> None:
    """A message sent during the poll ends it, whether the wait is the receive's or the queue's."""
    url = target.queue(**({} if own else {"ReceiveMessageWaitTimeSeconds": "10"}))
    sender = threading.Timer(0.2, target.send, [url, "foobared"])
    sender.start()
    start = time.monotonic()
    assert target.bodies(url, **({"WaitTimeSeconds": 10} if own else {})) == ["foobared"]
    assert time.monotonic() - start < 5
    sender.join()


def test_purge(target: Target) -> None:
    """A purge empties the queue; what is sent afterwards is received."""
    url = target.queue()
    target.send(url, "0-0", "0-1")
    target.client.purge_queue(QueueUrl=url)
    assert target.bodies(url) == []
    target.send(url, "1-0", "1-1")
    assert set(target.bodies(url, WaitTimeSeconds=1)) == {"1-0", "1-1"}


def test_counters(target: Target) -> None:
    """Visible, in flight and delayed messages are counted."""
    url = target.queue()
    target.send(url, *"abcdef")
    target.send(url, "delayed", DelaySeconds=60)
    assert len(target.handles(url, 1)) == 1
    target.wait_for_depths(url, (5, 1, 1))
