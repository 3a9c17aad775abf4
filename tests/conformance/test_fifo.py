"""Test process: FIFO queues: groups, order, deduplication, sequence numbers, through boto3 (facts recorded on AWS)."""

from __future__ import annotations

import threading
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conformance.aim import Target


def send(target: Target, url: str, group: str, deduplication_id: str, *, body: str = "Test") -> dict[str, Any]:
    members = {"MessageBody": body, "MessageGroupId": group, "MessageDeduplicationId": deduplication_id}
    return dict(target.client.send_message(QueueUrl=url, **members))


def take(target: Target, url: str) -> list[str]:
    """Receives and deletes; the bodies."""
    messages = target.receive(url)
    for message in messages:
        target.client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return [message["Body"] for message in messages]


def test_attributes_of_a_message(target: Target) -> None:
    """A FIFO message shows group, deduplication id and sequence number, the latter as the send answered it."""
    url = target.fifo(VisibilityTimeout="0", DeduplicationScope="messageGroup", FifoThroughputLimit="perMessageGroupId")
    sent = send(target, url, "group-1", "dedup-1", body="message-body-1")
    assert sent["MD5OfMessageBody"] == "19c9e282d65f9733bc6b35d50062c7ee"
    for count in ("1", "2"):
        [message] = target.receive(url, AttributeNames=["All"], WaitTimeSeconds=10)
        attributes = message["Attributes"]
        assert attributes.pop("SequenceNumber") == sent["SequenceNumber"]
        assert attributes["ApproximateReceiveCount"] == count
        assert attributes["MessageDeduplicationId"] == "dedup-1"
        assert attributes["MessageGroupId"] == "group-1"
        assert set(attributes) >= {"ApproximateFirstReceiveTimestamp", "SenderId", "SentTimestamp"}


def test_sequence_numbers_rise(target: Target) -> None:
    """Later messages have larger sequence numbers."""
    url = target.fifo()
    numbers = [int(send(target, url, "group", f"m{i}")["SequenceNumber"]) for i in range(3)]
    assert numbers == sorted(set(numbers))


def test_the_longest_deduplication_id(target: Target) -> None:
    """128 characters are accepted."""
    send(target, target.fifo(), "test", "a" * 128)


def test_single_receives_keep_the_order(target: Target) -> None:
    """Received and deleted one by one, the messages of a group come in their order."""
    url = target.fifo()
    target.send(url, "g-0", "g-1", "g-2", "g-3")
    received = []
    for _ in range(4):
        [message] = target.receive(url, 1)
        received.append(message["Body"])
        target.client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert received == ["g-0", "g-1", "g-2", "g-3"]


def test_groups_come_one_after_the_other(target: Target) -> None:
    """A receive empties one group before it goes on to the next."""
    url = target.fifo()
    target.send(url, "g1-m1", "g2-m1", "g1-m2", "g1-m3")
    assert target.bodies(url) == ["g1-m1", "g1-m2", "g1-m3", "g2-m1"]


def test_visibility_zero_ends_a_groups_turn(target: Target) -> None:
    """Groups whose messages were received with visibility 0 stand behind those that still wait."""
    url = target.fifo()
    target.send(url, "g1-m1", "g2-m1", "g2-m2", "g3-m1", "g1-m2")
    assert target.bodies(url, 3, VisibilityTimeout=0) == ["g1-m1", "g1-m2", "g2-m1"]
    assert target.bodies(url, VisibilityTimeout=0) == ["g3-m1", "g1-m1", "g1-m2", "g2-m1", "g2-m2"]


def test_a_visible_head_is_given_while_others_are_in_flight(target: Target) -> None:
    """Ending one message's visibility gives that message, and leaves the rest of its group hidden."""
    url = target.fifo()
    target.send(url, "g1-m1", "g1-m2", "g2-m1")
    first, _ = target.handles(url, 2)
    target.client.change_message_visibility(QueueUrl=url, ReceiptHandle=first, VisibilityTimeout=0)
    assert target.bodies(url, 3, WaitTimeSeconds=2) == ["g2-m1", "g1-m1"]


def test_deleting_all_in_flight_frees_a_group(target: Target) -> None:
    """After the delete of all its messages in flight a group gives the rest."""
    url = target.fifo()
    target.send(url, "g1-m1", "g2-m1", "g1-m2", "g2-m2", "g1-m3", "g1-m4", "g3-m1")
    for handle in target.handles(url, 2):
        target.client.delete_message(QueueUrl=url, ReceiptHandle=handle)
    # AWS was recorded giving group 1 before group 3; which group is first is not promised.
    assert target.bodies(url) in (
        ["g2-m1", "g2-m2", "g3-m1", "g1-m3", "g1-m4"],
        ["g2-m1", "g2-m2", "g1-m3", "g1-m4", "g3-m1"],
    )


def test_a_partly_deleted_group_stays_locked(target: Target) -> None:
    """One message of a group still in flight keeps the rest back."""
    url = target.fifo()
    target.send(url, "g1-m1", "g2-m1", "g1-m2", "g2-m2", "g1-m3", "g1-m4", "g3-m1")
    first, _ = target.handles(url, 2)
    target.client.delete_message(QueueUrl=url, ReceiptHandle=first)
    assert target.bodies(url) == ["g2-m1", "g2-m2", "g3-m1"]


def test_an_emptied_group_works_again(target: Target) -> None:
    """A group that was emptied, and looked at while empty, gives what is sent to it later."""
    url = target.fifo()
    target.send(url, "g1-1")
    assert take(target, url) == ["g1-1"]
    assert target.bodies(url) == []
    target.send(url, "g1-2")
    assert target.bodies(url) == ["g1-2"]


def test_a_delete_wakes_a_poll_of_the_same_group(target: Target) -> None:
    """While a group is in flight its next message wakes nobody; the delete of the first does."""
    url = target.fifo(VisibilityTimeout="60")
    received: Queue[Any] = Queue()

    def receive() -> None:
        for message in target.receive(url, 1, WaitTimeSeconds=2):
            received.put(message)

    polls = [threading.Thread(target=receive) for _ in range(3)]
    for poll in polls:
        poll.start()
    target.send(url, "1-first")
    first = received.get(timeout=3)
    target.send(url, "1-second")
    with pytest.raises(Empty):
        received.get(timeout=0.3)
    target.client.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    assert received.get(timeout=3)["Body"] == "1-second"
    for poll in polls:
        poll.join()


def test_counters_count_messages_in_flight_not_groups(target: Target) -> None:
    """Messages behind one in flight are counted as visible."""
    url = target.fifo(VisibilityTimeout="60")
    target.send(url, "1-a", "1-b", "2-a", "2-b", "3-a", "3-b")
    assert [target.bodies(url, 1), target.bodies(url, 1)] == [["1-a"], ["2-a"]]
    target.wait_for_depths(url, (4, 2, 0))


@pytest.mark.parametrize("content_based", [True, False])
def test_a_duplicate_is_dropped_even_after_the_delete(target: Target, content_based: bool) -> None:
    """The same message again is accepted, and never received a second time, in any group."""
    url = target.fifo(ContentBasedDeduplication=str(content_based).lower())
    own = {} if content_based else {"MessageDeduplicationId": "dedup1"}
    body = '{"foo": "bar"}'
    target.client.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="group-1", **own)
    assert take(target, url) == [body]
    for group in ("group-1", "group-2"):
        target.client.send_message(QueueUrl=url, MessageBody=body, MessageGroupId=group, **own)
    assert target.bodies(url) == []


def test_a_duplicate_is_answered_with_the_first_id(target: Target) -> None:
    """The answer to a duplicate names the message that is there."""
    url = target.fifo()
    first, second = (send(target, url, "g", "same", body=body) for body in ("one", "two"))
    assert (first["MessageId"], first["SequenceNumber"]) == (second["MessageId"], second["SequenceNumber"])


@pytest.mark.parametrize("attributes", [{}, {"FifoThroughputLimit": "perMessageGroupId"}])
def test_deduplication_within_a_group(target: Target, attributes: dict[str, str]) -> None:
    """With scope messageGroup the same id in two groups is two messages, at high throughput or not."""
    url = target.fifo(DeduplicationScope="messageGroup", **attributes)
    for group in ("group1", "group2"):
        send(target, url, group, "same-dedup", body=group)
        assert take(target, url) == [group]


def test_a_widened_scope_does_not_hold_at_once(target: Target) -> None:
    """Right after the change to messageGroup, ids are still those of the queue."""
    url = target.fifo(DeduplicationScope="queue")
    send(target, url, "group1", "same", body="Test1")
    assert take(target, url) == ["Test1"]
    scope = {"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}
    target.client.set_queue_attributes(QueueUrl=url, Attributes=scope)
    send(target, url, "group2", "same", body="Test2")
    assert target.bodies(url) == []
    send(target, url, "group4", "other", body="Test4")
    assert take(target, url) == ["Test4"]
    send(target, url, "group5", "other", body="Test5")
    assert target.bodies(url) == []


def test_a_narrowed_scope_does_not_hold_at_once(target: Target) -> None:
    """Right after the change to queue, ids are still those of each group."""
    url = target.fifo(DeduplicationScope="messageGroup", FifoThroughputLimit="perMessageGroupId")
    send(target, url, "group1", "same", body="Test1")
    assert take(target, url) == ["Test1"]
    scope = {"DeduplicationScope": "queue", "FifoThroughputLimit": "perQueue"}
    target.client.set_queue_attributes(QueueUrl=url, Attributes=scope)
    send(target, url, "group3", "same", body="Test3")
    assert target.bodies(url) == ["Test3"]


def test_a_purge_forgets_deduplication_ids(target: Target) -> None:
    """After a purge the same id is a new message."""
    url = target.fifo()
    send(target, url, "g", "same", body="message-1")
    target.client.purge_queue(QueueUrl=url)
    send(target, url, "g", "same", body="message-2")
    assert target.bodies(url, WaitTimeSeconds=1) == ["message-2"]


def test_a_repeated_attempt(target: Target) -> None:
    """The same ReceiveRequestAttemptId gives the same messages and handles, until one of them is deleted."""
    url = target.fifo()
    target.send(url, "a-1", "a-2", "b-1")
    attempt = {"ReceiveRequestAttemptId": "attempt-1"}
    first = target.receive(url, 2, **attempt)
    assert [message["Body"] for message in first] == ["a-1", "a-2"]
    assert target.receive(url, 2, **attempt) == first
    assert target.bodies(url, ReceiveRequestAttemptId="attempt-2") == ["b-1"]
    target.client.delete_message(QueueUrl=url, ReceiptHandle=first[0]["ReceiptHandle"])
    error = target.refused("receive_message", QueueUrl=url, MaxNumberOfMessages=2, **attempt)
    assert error["Code"] == "InvalidParameterValue"
    assert error["Message"].endswith(
        "The receiveRequestAttemptId is not valid anymore since the receive call is not retryable."
    )


def test_a_delay_of_zero_is_accepted(target: Target) -> None:
    """DelaySeconds 0 is the one delay that a FIFO message may name."""
    url = target.fifo()
    target.send(url, "g-x", DelaySeconds=0)
    assert target.bodies(url, VisibilityTimeout=0) == ["g-x"]
