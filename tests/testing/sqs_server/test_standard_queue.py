"""Test process: a standard queue: visibility, delay, limits, retention, purge, what a receive shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from worker.testing.sqs_server.broker import Options

if TYPE_CHECKING:
    from tests.testing.sqs_server.model import Sqs


def test_messages_come_in_the_order_they_were_sent(sqs: Sqs) -> None:
    """Nothing promises it, but tests and people read the oldest first."""
    url = sqs.create()
    sqs.send(url, *"abcdefghijkl")
    assert sqs.bodies(url) == list("abcdefghij")
    assert sqs.bodies(url) == list("kl")


def test_a_message_is_hidden_until_its_timeout_and_comes_back_before_newer_ones(sqs: Sqs) -> None:
    """A message whose visibility ran out is given again, before messages that were sent later."""
    url = sqs.create(VisibilityTimeout="30")
    sqs.send(url, "old")
    sqs.one(url)
    sqs.send(url, "new")
    sqs.now += 29.9
    assert sqs.depths(url) == (1, 1, 0)
    sqs.now += 0.1
    assert sqs.bodies(url) == ["old", "new"]


def test_the_timeout_of_a_receive_wins_over_the_queues(sqs: Sqs) -> None:
    """VisibilityTimeout of ReceiveMessage holds for that receive only."""
    url = sqs.create(VisibilityTimeout="30")
    sqs.send(url, "a")
    sqs.one(url, VisibilityTimeout=5)
    sqs.now += 5
    sqs.one(url)
    sqs.now += 29
    assert sqs.bodies(url) == []


def test_a_change_counts_from_the_moment_of_the_call_and_is_not_remembered(sqs: Sqs) -> None:
    """A changed visibility holds from now, once: the next receive has the queue's timeout again."""
    url = sqs.create(VisibilityTimeout="30")
    sqs.send(url, "a")
    handle = sqs.one(url)
    sqs.now += 20
    sqs.change(url, handle, 100)
    sqs.now += 99
    assert sqs.bodies(url) == []
    sqs.now += 1
    sqs.one(url)
    sqs.now += 30
    assert sqs.bodies(url) == ["a"]


def test_a_shorter_change_beats_the_longer_timeout(sqs: Sqs) -> None:
    """A change may also shorten; the old, later end no longer counts."""
    url = sqs.create(VisibilityTimeout="100")
    sqs.send(url, "a")
    sqs.change(url, sqs.one(url), 10)
    sqs.now += 10
    assert sqs.bodies(url, VisibilityTimeout=1000) == ["a"]
    sqs.now += 95
    assert sqs.bodies(url) == []


def test_visibility_zero_returns_a_message_at_once(sqs: Sqs) -> None:
    """A receive with visibility 0 gives the message and leaves it visible, once per receive."""
    url = sqs.create()
    sqs.send(url, "a", "b")
    assert sqs.bodies(url, VisibilityTimeout=0) == ["a", "b"]
    assert sqs.bodies(url) == ["a", "b"]


@pytest.mark.parametrize(
    ("queue_delay", "own_delay", "delay"), [("0", 5, 5), ("7", None, 7), ("7", 0, 0), ("0", None, 0)]
)
def test_a_delayed_message_appears_after_its_delay(
    sqs: Sqs, queue_delay: str, own_delay: int | None, delay: int
) -> None:
    """DelaySeconds of the message wins over the queue's, 0 included."""
    url = sqs.create(DelaySeconds=queue_delay)
    more = {} if own_delay is None else {"DelaySeconds": own_delay}
    sqs.send(url, "a", **more)
    assert sqs.depths(url) == ((0, 0, 1) if delay else (1, 0, 0))
    sqs.now += delay - 0.1 if delay else 0
    assert sqs.bodies(url) == ([] if delay else ["a"])
    sqs.now += 0.1
    assert sqs.bodies(url) == (["a"] if delay else [])


def test_the_in_flight_limit(make_sqs: Callable[[Options], Sqs]) -> None:
    """At the limit a short poll is OverLimit and a long poll silent; deleting makes room."""
    sqs = make_sqs(Options(in_flight_limit=3))
    url = sqs.create()
    sqs.send(url, *"abcde")
    handles = [message["ReceiptHandle"] for message in sqs.receive(url)]
    assert len(handles) == 3
    error = sqs.refused("ReceiveMessage", QueueUrl=url)
    assert (error.shape, error.status) == ("OverLimit", 403)
    poll = sqs.poll(url, 10)
    assert sqs.broker.complete(sqs.now + 9) == []
    sqs.delete(url, handles[0])
    [(ended, answer)] = sqs.broker.complete(sqs.now + 9)
    assert ended is poll
    assert isinstance(answer, dict)
    assert answer["Messages"][0]["Body"] == "d"


def test_the_in_flight_limit_of_a_fifo_queue_is_silent(make_sqs: Callable[[Options], Sqs]) -> None:
    """A FIFO queue at its limit gives nothing, and never an error."""
    sqs = make_sqs(Options(in_flight_limit=1))
    url = sqs.create("q.fifo", ContentBasedDeduplication="true")
    sqs.send(url, "a", MessageGroupId="1")
    sqs.send(url, "b", MessageGroupId="2")
    assert sqs.bodies(url) == ["a"]
    assert sqs.bodies(url) == []


@pytest.mark.parametrize("state", ["ready", "in flight", "delayed"])
def test_retention_ends_a_message_in_every_state(sqs: Sqs, state: str) -> None:
    """A message is gone when its retention has passed since it was sent, in flight or not."""
    url = sqs.create(MessageRetentionPeriod="60", VisibilityTimeout="600")
    sqs.send(url, "a", **({"DelaySeconds": 900} if state == "delayed" else {}))
    handle = sqs.one(url) if state == "in flight" else None
    sqs.now += 59
    assert sum(sqs.depths(url)) == 1
    sqs.now += 1
    assert sum(sqs.depths(url)) == 0
    assert sqs.bodies(url) == []
    if handle is not None:
        sqs.delete(url, handle)


def test_retention_is_seen_by_a_receive_too(sqs: Sqs) -> None:
    """A receive never gives a message past its retention, whoever looked at the counters before."""
    url = sqs.create(MessageRetentionPeriod="60")
    sqs.send(url, "old")
    sqs.now += 30
    sqs.send(url, "new")
    sqs.now += 30
    assert sqs.bodies(url) == ["new"]


def test_purge_drops_everything_and_rests_a_minute(sqs: Sqs) -> None:
    """A purge takes visible, delayed and in-flight messages; a second one within 60 s is refused."""
    url = sqs.create()
    sqs.send(url, "a", "b")
    sqs.one(url)
    sqs.send(url, "c", DelaySeconds=10)
    sqs.call("PurgeQueue", QueueUrl=url)
    assert sqs.depths(url) == (0, 0, 0)
    error = sqs.refused("PurgeQueue", QueueUrl=url)
    assert (error.code, error.status) == ("AWS.SimpleQueueService.PurgeQueueInProgress", 403)
    assert error.message == "Only one PurgeQueue operation on q is allowed every 60 seconds."
    sqs.now += 100
    assert sqs.bodies(url) == []
    sqs.call("PurgeQueue", QueueUrl=url)


def test_system_attributes_count_receives_and_keep_the_first(sqs: Sqs) -> None:
    """Times are milliseconds; the receive count rises, the first receive stays."""
    url = sqs.create(VisibilityTimeout="0")
    sqs.send(url, "a")
    sent = str(int(sqs.now * 1000))
    sqs.now += 1.5
    first = str(int(sqs.now * 1000))
    for count in ("1", "2"):
        [message] = sqs.receive(url, AttributeNames=["All"])
        assert message["Attributes"] == {
            "SenderId": "000000000000",
            "SentTimestamp": sent,
            "ApproximateReceiveCount": count,
            "ApproximateFirstReceiveTimestamp": first,
        }
        sqs.now += 1


def test_a_group_on_a_standard_queue_is_shown_and_orders_nothing(sqs: Sqs) -> None:
    """MessageGroupId makes a fair queue: messages of one group are given in parallel."""
    url = sqs.create()
    sqs.send(url, "a", "b", MessageGroupId="tenant")
    first, second = sqs.receive(url, AttributeNames=["All"])
    assert first["Attributes"]["MessageGroupId"] == second["Attributes"]["MessageGroupId"] == "tenant"
    assert "SequenceNumber" not in first["Attributes"]


def test_a_large_queue_forgets_what_left_it(sqs: Sqs) -> None:
    """Receives and deletes of many messages with a long timeout leave nothing behind in the queue's heap."""
    url = sqs.create(VisibilityTimeout="43200")
    for _ in range(3_000):
        sqs.send(url, *"abcdefghij")
        for message in sqs.receive(url):
            sqs.delete(url, message["ReceiptHandle"])
    queue = sqs.queue(url)
    assert not queue.messages
    assert queue._hidden.bulk <= 10_010
