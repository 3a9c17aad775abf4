"""Test process: long polls: what wakes them, whom they serve first, and when they end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from worker.testing.sqs_server.errors import SqsError

if TYPE_CHECKING:
    from tests.testing.sqs_server.model import Sqs


def answered(answer: dict[str, Any] | SqsError) -> list[dict[str, Any]]:
    """The messages of a poll's answer."""
    assert isinstance(answer, dict)
    messages: list[dict[str, Any]] = answer.get("Messages", [])
    return messages


def ended(sqs: Sqs, now: float | None = None) -> list[list[str]]:
    """The bodies of every poll that ends now, in the order in which they end."""
    done = sqs.broker.complete(sqs.now if now is None else now)
    return [[message["Body"] for message in answered(answer)] for _, answer in done]


def test_a_send_wakes_a_poll(sqs: Sqs) -> None:
    """A message ends the poll at once; before, nothing is due until the deadline."""
    url = sqs.create()
    sqs.poll(url, 10)
    assert ended(sqs) == []
    assert sqs.broker.next_moment() == sqs.now + 10
    assert not sqs.broker.busy
    sqs.send(url, "a")
    assert sqs.broker.busy
    assert ended(sqs) == [["a"]]
    assert sqs.broker.next_moment() is None


def test_a_poll_ends_empty_at_its_deadline(sqs: Sqs) -> None:
    """Without messages a poll ends when its wait is over, not before."""
    url = sqs.create()
    sqs.poll(url, 10)
    assert ended(sqs, sqs.now + 9.9) == []
    assert ended(sqs, sqs.now + 10) == [[]]
    assert sqs.broker.next_moment() is None


def test_a_poll_takes_what_is_there_when_it_is_served(sqs: Sqs) -> None:
    """A poll for ten gets all that came together, not just the first."""
    url = sqs.create()
    sqs.poll(url, 10, MaxNumberOfMessages=10)
    entries = [{"Id": str(i), "MessageBody": str(i)} for i in range(3)]
    sqs.call("SendMessageBatch", QueueUrl=url, Entries=entries)
    assert ended(sqs) == [["0", "1", "2"]]


def test_polls_are_served_in_the_order_they_came(sqs: Sqs) -> None:
    """The poll that waited longest gets the message."""
    url = sqs.create()
    polls = [sqs.poll(url, 10) for _ in range(3)]
    sqs.send(url, "a", "b")
    assert [poll for poll, _ in sqs.broker.complete(sqs.now)] == polls[:2]


@pytest.mark.parametrize("order", ["hidden first", "delayed first", "poll first"])
def test_time_wakes_a_poll(sqs: Sqs, order: str) -> None:
    """A message whose timeout or delay ends is given to a poll at that moment, whichever began first."""
    url = sqs.create()
    if order == "poll first":
        sqs.poll(url, 10)
    sqs.send(url, "a", DelaySeconds=0 if order == "hidden first" else 4)
    if order == "hidden first":
        sqs.one(url, VisibilityTimeout=4)
    if order != "poll first":
        sqs.poll(url, 10)
    assert ended(sqs) == []
    assert sqs.broker.next_moment() == sqs.now + 4
    assert ended(sqs, sqs.now + 4) == [["a"]]


def test_a_change_of_visibility_wakes_a_poll(sqs: Sqs) -> None:
    """Visibility 0 gives the message to who waits for it; an earlier end moves the next moment."""
    url = sqs.create()
    sqs.send(url, "a", "b")
    first, second = (message["ReceiptHandle"] for message in sqs.receive(url))
    sqs.poll(url, 20)
    sqs.poll(url, 20)
    sqs.change(url, first, 0)
    assert ended(sqs) == [["a"]]
    sqs.change(url, second, 5)
    assert sqs.broker.busy
    assert ended(sqs) == []
    assert sqs.broker.next_moment() == sqs.now + 5


def test_a_fifo_delete_wakes_the_next_of_the_group(sqs: Sqs) -> None:
    """Deleting what is in flight gives the group's next message to a poll (recorded on AWS)."""
    url = sqs.create("q.fifo", ContentBasedDeduplication="true")
    for _ in range(3):
        sqs.poll(url, 10)
    sqs.send(url, "1", MessageGroupId="g")
    [(_, answer)] = sqs.broker.complete(sqs.now)
    sqs.send(url, "2", MessageGroupId="g")
    assert ended(sqs) == []
    sqs.delete(url, answered(answer)[0]["ReceiptHandle"])
    assert ended(sqs) == [["2"]]


def test_a_dead_letter_and_a_move_wake_polls(sqs: Sqs) -> None:
    """A poll on a dead-letter queue gets what is moved there."""
    dead = sqs.create("dead")
    policy = f'{{"deadLetterTargetArn":"{sqs.arn(dead)}","maxReceiveCount":1}}'
    url = sqs.create(RedrivePolicy=policy)
    sqs.send(url, "a")
    sqs.one(url, VisibilityTimeout=0)
    sqs.poll(dead, 10, VisibilityTimeout=0)
    assert sqs.bodies(url) == []
    assert ended(sqs) == [["a"]]
    sqs.poll(url, 10)
    sqs.call("StartMessageMoveTask", SourceArn=sqs.arn(dead))
    assert sqs.broker.busy
    assert ended(sqs) == [["a"]]


def test_a_dropped_poll_gets_nothing(sqs: Sqs) -> None:
    """A poll that was dropped leaves the message to the next one."""
    url = sqs.create()
    first, second = sqs.poll(url, 10), sqs.poll(url, 20)
    sqs.broker.polls.drop(first)
    sqs.send(url, "a")
    [(poll, _)] = sqs.broker.complete(sqs.now)
    assert poll is second
    assert sqs.broker.next_moment() is None


def test_polls_of_a_deleted_queue_end(sqs: Sqs) -> None:
    """Deleting the queue ends its polls empty."""
    url = sqs.create()
    sqs.poll(url, 10)
    sqs.call("DeleteQueue", QueueUrl=url)
    assert sqs.broker.busy
    assert ended(sqs) == [[]]
    assert sqs.broker.next_moment() is None


def test_a_poll_ends_once(sqs: Sqs) -> None:
    """What ended with its queue does not end again at its deadline."""
    url = sqs.create()
    sqs.poll(url, 10)
    sqs.call("DeleteQueue", QueueUrl=url)
    assert len(sqs.broker.complete(sqs.now)) == 1
    assert sqs.broker.complete(sqs.now + 10) == []


def test_polls_on_other_queues_do_not_matter(sqs: Sqs) -> None:
    """A message ends only polls of its own queue."""
    urls = [sqs.create(name) for name in ("a", "b")]
    for url in urls:
        sqs.poll(url, 10)
    sqs.send(urls[1], "x")
    assert ended(sqs) == [["x"]]
    assert sqs.broker.next_moment() == sqs.now + 10
    sqs.send(urls[0], "y")
    assert ended(sqs) == [["y"]]


def test_a_poisoned_queue_does_not_end_a_poll(sqs: Sqs) -> None:
    """A message that goes to the dead-letter queue instead leaves the poll waiting."""
    dead = sqs.create("dead")
    policy = f'{{"deadLetterTargetArn":"{sqs.arn(dead)}","maxReceiveCount":1}}'
    url = sqs.create(RedrivePolicy=policy)
    sqs.send(url, "a")
    sqs.one(url, VisibilityTimeout=2)
    sqs.poll(url, 10)
    assert ended(sqs, sqs.now + 2) == []
    assert sqs.depths(dead)[0] == 1
    assert ended(sqs, sqs.now + 10) == [[]]


def test_the_queues_own_wait_makes_a_poll_long(sqs: Sqs) -> None:
    """ReceiveMessageWaitTimeSeconds holds where the receive names no wait; 0 makes it short again."""
    url = sqs.create(ReceiveMessageWaitTimeSeconds="7")
    sqs.call("ReceiveMessage", QueueUrl=url)
    assert sqs.broker.next_moment() == sqs.now + 7
    assert ended(sqs, sqs.now + 7) == [[]]
    sqs.call("ReceiveMessage", QueueUrl=url, WaitTimeSeconds=0)
    assert sqs.broker.next_moment() is None


def test_a_poll_whose_attempt_became_invalid_ends_with_the_error(sqs: Sqs) -> None:
    """A killed client and its successor may both wait with one attempt id: that must not stop the queue."""
    url = sqs.create("a.fifo", FifoQueue="true", ContentBasedDeduplication="true")
    first = sqs.poll(url, 20, ReceiveRequestAttemptId="one")
    second = sqs.poll(url, 20, ReceiveRequestAttemptId="one")
    sqs.send(url, "1", MessageGroupId="a")
    [(poll, answer)] = sqs.broker.complete(sqs.now)
    assert poll is first
    sqs.delete(url, answered(answer)[0]["ReceiptHandle"])
    third = sqs.poll(url, 20)
    sqs.send(url, "2", MessageGroupId="a")
    ends = dict(sqs.broker.complete(sqs.now))
    assert isinstance(ends[second], SqsError)
    assert [message["Body"] for message in answered(ends[third])] == ["2"]
