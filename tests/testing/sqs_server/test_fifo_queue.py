"""Test process: a FIFO queue: order and locks of groups, deduplication, repeated receive attempts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.testing.sqs_server.model import Sqs


@pytest.fixture
def url(sqs: Sqs) -> str:
    """A FIFO queue that deduplicates by content, with a visibility timeout of 30 s."""
    return sqs.create("q.fifo", ContentBasedDeduplication="true", VisibilityTimeout="30")


def send(sqs: Sqs, url: str, *bodies: str) -> None:
    """Sends bodies of the form group-message to their groups."""
    for body in bodies:
        sqs.send(url, body, MessageGroupId=body.partition("-")[0])


def handles(messages: list[dict[str, Any]]) -> list[str]:
    return [message["ReceiptHandle"] for message in messages]


def test_one_group_is_emptied_before_the_next(sqs: Sqs, url: str) -> None:
    """A receive takes as many messages of one group as it may, then those of the next group."""
    send(sqs, url, "a-1", "b-1", "a-2", "a-3")
    assert sqs.bodies(url) == ["a-1", "a-2", "a-3", "b-1"]


def test_a_group_in_flight_gives_nothing_more(sqs: Sqs, url: str) -> None:
    """While a message of a group is in flight the rest of it waits, and other groups do not."""
    send(sqs, url, "a-1", "a-2", "b-1")
    assert sqs.bodies(url, 1) == ["a-1"]
    send(sqs, url, "a-3")
    assert sqs.bodies(url) == ["b-1"]
    assert sqs.bodies(url) == []


def test_deleting_the_head_frees_the_group(sqs: Sqs, url: str) -> None:
    """After the delete of what is in flight the group gives its next messages."""
    send(sqs, url, "a-1", "a-2")
    sqs.delete(url, sqs.one(url))
    assert sqs.bodies(url) == ["a-2"]


def test_deleting_one_of_two_in_flight_keeps_the_group_locked(sqs: Sqs, url: str) -> None:
    """A group whose head was deleted stays locked while a later message is in flight."""
    send(sqs, url, "a-1", "a-2", "a-3")
    first, _ = handles(sqs.receive(url, 2))
    sqs.delete(url, first)
    assert sqs.bodies(url) == []


def test_order_is_kept_after_a_batch_expires(sqs: Sqs, url: str) -> None:
    """Messages that were received together and not deleted come back in their order."""
    send(sqs, url, "a-0", "a-1", "a-2", "a-3")
    assert sqs.bodies(url) == ["a-0", "a-1", "a-2", "a-3"]
    sqs.now += 30
    assert sqs.bodies(url) == ["a-0", "a-1", "a-2", "a-3"]


def test_a_visible_head_is_given_although_later_ones_are_in_flight(sqs: Sqs, url: str) -> None:
    """Ending the head's visibility gives the head again, and only it (recorded on AWS)."""
    send(sqs, url, "a-1", "a-2", "b-1")
    first, _ = handles(sqs.receive(url, 2))
    sqs.change(url, first, 0)
    assert sqs.bodies(url) == ["b-1", "a-1"]


@pytest.mark.parametrize(("extended", "given"), [(0, []), (1, ["a-0"]), (2, ["a-0", "a-1"])])
def test_an_extended_message_hides_all_behind_it(sqs: Sqs, url: str, extended: int, given: list[str]) -> None:
    """Of an expired batch only the messages before a still hidden one come back (recorded on AWS)."""
    send(sqs, url, "a-0", "a-1", "a-2")
    sqs.change(url, handles(sqs.receive(url))[extended], 100)
    sqs.now += 30
    assert sqs.bodies(url) == given


def test_groups_stand_in_line_by_when_they_became_available(sqs: Sqs, url: str) -> None:
    """A group that waited longest is served first; receives with visibility 0 go to the end (recorded on AWS)."""
    send(sqs, url, "a-1", "b-1", "b-2", "c-1", "a-2")
    assert sqs.bodies(url, 3, VisibilityTimeout=0) == ["a-1", "a-2", "b-1"]
    assert sqs.bodies(url, VisibilityTimeout=0) == ["c-1", "a-1", "a-2", "b-1", "b-2"]


def test_an_emptied_group_works_again(sqs: Sqs, url: str) -> None:
    """A group that was emptied and looked at gives what is sent to it afterwards."""
    send(sqs, url, "a-1")
    sqs.delete(url, sqs.one(url))
    assert sqs.bodies(url) == []
    send(sqs, url, "a-2")
    assert sqs.bodies(url) == ["a-2"]


def test_a_delayed_head_keeps_its_group_back(sqs: Sqs) -> None:
    """The queue's delay hides messages without changing their order, even when it is shortened meanwhile."""
    url = sqs.create("q.fifo", ContentBasedDeduplication="true", DelaySeconds="10")
    send(sqs, url, "a-1")
    sqs.call("SetQueueAttributes", QueueUrl=url, Attributes={"DelaySeconds": "0"})
    send(sqs, url, "a-2", "b-1")
    assert sqs.bodies(url) == ["b-1"]
    sqs.now += 10
    assert sqs.bodies(url) == ["a-1", "a-2"]


def test_a_message_with_delay_zero_gets_the_queues_delay(sqs: Sqs) -> None:
    """DelaySeconds 0 on a FIFO message is accepted and means the queue's delay; any other value is refused."""
    url = sqs.create("q.fifo", ContentBasedDeduplication="true", DelaySeconds="2")
    sqs.send(url, "a", MessageGroupId="g", DelaySeconds=0)
    assert sqs.depths(url) == (0, 0, 1)
    error = sqs.refused("SendMessage", QueueUrl=url, MessageBody="b", MessageGroupId="g", DelaySeconds=2)
    assert error.message == (
        "Value 2 for parameter DelaySeconds is invalid. "
        "Reason: The request include parameter that is not valid for this queue type."
    )


def test_sequence_numbers_rise_and_have_twenty_digits(sqs: Sqs, url: str) -> None:
    """Every message gets a larger sequence number than the one before."""
    numbers = [
        sqs.call("SendMessage", QueueUrl=url, MessageBody=str(i), MessageGroupId="g")["SequenceNumber"]
        for i in range(300)
    ]
    assert numbers == sorted(numbers, key=int)
    assert len(set(numbers)) == 300
    assert {len(number) for number in numbers} == {20}


def test_a_duplicate_within_five_minutes_is_accepted_and_dropped(sqs: Sqs, url: str) -> None:
    """The duplicate's answer names the first message; after 5 minutes the id is new again, also after a delete."""
    first = sqs.call("SendMessage", QueueUrl=url, MessageBody="x", MessageGroupId="a", MessageDeduplicationId="1")
    sqs.delete(url, sqs.one(url))
    sqs.now += 299
    again = sqs.call("SendMessage", QueueUrl=url, MessageBody="y", MessageGroupId="b", MessageDeduplicationId="1")
    assert (again["MessageId"], again["SequenceNumber"]) == (first["MessageId"], first["SequenceNumber"])
    assert again["MD5OfMessageBody"] != first["MD5OfMessageBody"]
    assert sqs.depths(url) == (0, 0, 0)
    sqs.now += 1
    third = sqs.call("SendMessage", QueueUrl=url, MessageBody="y", MessageGroupId="b", MessageDeduplicationId="1")
    assert third["MessageId"] != first["MessageId"]
    assert sqs.bodies(url) == ["y"]


def test_content_based_deduplication_looks_at_the_body_only(sqs: Sqs, url: str) -> None:
    """The id is the SHA-256 of the body: other attributes or another group make no other message."""
    sqs.send(url, "same", MessageGroupId="a")
    sqs.send(url, "same", MessageGroupId="b", MessageAttributes={"n": {"DataType": "Number", "StringValue": "1"}})
    sqs.send(url, "other", MessageGroupId="b")
    assert sqs.bodies(url) == ["same", "other"]


def test_deduplication_scope_message_group(sqs: Sqs) -> None:
    """With DeduplicationScope=messageGroup the same id is a duplicate only within its group."""
    url = sqs.create("q.fifo", DeduplicationScope="messageGroup")
    for group in ("a", "b", "a"):
        sqs.send(url, group, MessageGroupId=group, MessageDeduplicationId="1")
    assert sqs.bodies(url) == ["a", "b"]


@pytest.mark.parametrize(("before", "after", "given"), [("queue", "messageGroup", 0), ("messageGroup", "queue", 1)])
def test_a_changed_scope_takes_hold_after_a_minute(sqs: Sqs, before: str, after: str, given: int) -> None:
    """Right after the change the old scope still rules (recorded on AWS); a minute later the new one does."""
    url = sqs.create("q.fifo", DeduplicationScope=before)
    sqs.send(url, "1", MessageGroupId="a", MessageDeduplicationId="x")
    sqs.call("SetQueueAttributes", QueueUrl=url, Attributes={"DeduplicationScope": after})
    sqs.send(url, "2", MessageGroupId="b", MessageDeduplicationId="x")
    assert len(sqs.receive(url)) == 1 + given
    sqs.now += 60
    sqs.send(url, "3", MessageGroupId="c", MessageDeduplicationId="y")
    sqs.send(url, "4", MessageGroupId="d", MessageDeduplicationId="y")
    assert len(sqs.bodies(url, VisibilityTimeout=0)) - (1 + given) == 2 - given


def test_purge_forgets_deduplication_ids(sqs: Sqs, url: str) -> None:
    """After a purge the same id may be sent again at once (recorded on AWS)."""
    sqs.send(url, "1", MessageGroupId="a", MessageDeduplicationId="x")
    sqs.call("PurgeQueue", QueueUrl=url)
    sqs.send(url, "2", MessageGroupId="a", MessageDeduplicationId="x")
    assert sqs.bodies(url) == ["2"]


ATTEMPT: dict[str, Any] = {"ReceiveRequestAttemptId": "attempt-1"}


def test_a_repeated_attempt_gets_the_same_messages_and_receipts(sqs: Sqs, url: str) -> None:
    """The same attempt id gives the same messages and handles, hides them anew, and counts no second receive."""
    send(sqs, url, "a-1", "a-2", "b-1")
    first = sqs.receive(url, 2, AttributeNames=["ApproximateReceiveCount"], **ATTEMPT)
    sqs.now += 20
    assert sqs.receive(url, 2, AttributeNames=["ApproximateReceiveCount"], **ATTEMPT) == first
    sqs.now += 29
    assert sqs.bodies(url) == ["b-1"]
    sqs.now += 1
    assert sqs.bodies(url) == ["a-1", "a-2"]


@pytest.mark.parametrize("touch", ["delete", "change", "received again"])
def test_an_attempt_whose_messages_changed_is_refused(sqs: Sqs, url: str, touch: str) -> None:
    """An attempt may not be repeated once one of its messages was deleted, changed or received by another."""
    send(sqs, url, "a-1", "a-2")
    first = handles(sqs.receive(url, **ATTEMPT))
    if touch == "delete":
        sqs.delete(url, first[1])
    elif touch == "change":
        sqs.change(url, first[1], 60)
    else:
        sqs.now += 30
        sqs.receive(url)
    error = sqs.refused("ReceiveMessage", QueueUrl=url, **ATTEMPT)
    assert error.code == "InvalidParameterValue"
    assert error.message == (
        "Value attempt-1 for parameter ReceiveRequestAttemptId is invalid. Reason: The receiveRequestAttemptId is not"
        " valid anymore since the receive call is not retryable."
    )


def test_an_attempt_is_forgotten_after_five_minutes(sqs: Sqs, url: str) -> None:
    """After 5 minutes the attempt id is a new one."""
    send(sqs, url, "a-1", "b-1")
    sqs.delete(url, sqs.one(url, **ATTEMPT))
    sqs.now += 300
    assert sqs.bodies(url, **ATTEMPT) == ["b-1"]


def test_an_attempt_that_ran_out_receives_anew(sqs: Sqs, url: str) -> None:
    """When the visibility of an attempt's messages simply ended, the same id receives again, with new receipts."""
    send(sqs, url, "a-1")
    first = sqs.one(url, **ATTEMPT)
    sqs.now += 30
    second = sqs.one(url, **ATTEMPT)
    assert first != second
    assert sqs.one(url, **ATTEMPT) == second


def test_attempt_ids_are_for_fifo_queues(sqs: Sqs) -> None:
    """A standard queue refuses ReceiveRequestAttemptId."""
    url = sqs.create()
    assert "not valid for this queue type" in sqs.refused("ReceiveMessage", QueueUrl=url, **ATTEMPT).message


def test_counters_count_messages_not_groups(sqs: Sqs, url: str) -> None:
    """Messages behind one in flight count as visible, as on AWS."""
    send(sqs, url, "a-1", "a-2", "b-1", "b-2", "c-1", "c-2")
    sqs.one(url)
    sqs.one(url)
    assert sqs.depths(url) == (4, 2, 0)


def test_a_big_group_costs_what_is_taken_from_it(sqs: Sqs, url: str) -> None:
    """Receiving from a group of 20,000 messages walks only what it gives."""
    for place in range(20_000):
        sqs.send(url, str(place), MessageGroupId="g")
    for start in range(0, 20_000, 10):
        messages = sqs.receive(url)
        assert [message["Body"] for message in messages] == [str(start + step) for step in range(10)]
        for message in reversed(messages):
            sqs.delete(url, message["ReceiptHandle"])
