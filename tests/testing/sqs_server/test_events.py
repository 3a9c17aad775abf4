"""Test process: the event log: every step of a message's way, in order, without bodies and receipt handles."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import orjson

from worker.testing.sqs_server.events import EventLog

if TYPE_CHECKING:
    from tests.testing.sqs_server.model import Sqs


def test_a_message_leaves_its_whole_way(sqs: Sqs) -> None:
    """Send, assign, visibility, expiry, redrive and delete are recorded with message, receipt, time and connection."""
    dead = sqs.create("dead")
    url = sqs.create(RedrivePolicy=f'{{"deadLetterTargetArn":"{sqs.arn(dead)}","maxReceiveCount":2}}')
    sqs.caller.connection, sqs.caller.request = 7, 1
    [message_id] = sqs.send(url, "secret body")
    handle = sqs.one(url)
    sqs.change(url, handle, 60)
    sqs.now += 60
    sqs.one(url, VisibilityTimeout=10)
    sqs.delete(url, handle)
    sqs.now += 10
    sqs.bodies(url)
    sqs.delete(dead, sqs.one(dead))
    log = sqs.events.after(0)
    assert [event["event"] for event in log] == [
        "send",
        "assign",
        "visibility",
        "expire",
        "assign",
        "delete",
        "expire",
        "redrive",
        "assign",
        "delete",
    ]
    assert {event["message_id"] for event in log} == {message_id}
    assign, again, stale, last = log[1], log[4], log[5], log[9]
    assert (assign["receipt"], again["receipt"]) == ("1.1", "1.2")
    assert (assign["connection"], assign["request"], assign["until"]) == (7, 1, assign["now"] + 30)
    assert (stale["number"], stale["outcome"], last["outcome"]) == (1, "stale", "done")
    assert [event["n"] for event in log] == list(range(1, 11))
    text = orjson.dumps(log).decode()
    assert "secret body" not in text
    assert handle not in text


def test_deletes_tell_whether_they_deleted(sqs: Sqs) -> None:
    """An effective delete, a repeated one and an expired FIFO one are told apart."""
    url = sqs.create("q.fifo", ContentBasedDeduplication="true")
    sqs.send(url, "a", MessageGroupId="1")
    sqs.send(url, "b", MessageGroupId="2")
    first, second = (message["ReceiptHandle"] for message in sqs.receive(url))
    sqs.delete(url, first)
    sqs.delete(url, first)
    sqs.now += 30
    sqs.refused("DeleteMessage", QueueUrl=url, ReceiptHandle=second)
    outcomes = [event["outcome"] for event in sqs.events.after(0) if event["event"] == "delete"]
    assert outcomes == ["done", "gone", "expired"]


def test_the_end_of_a_delay_is_no_expiry(sqs: Sqs) -> None:
    """Only a message in flight expires."""
    url = sqs.create()
    sqs.send(url, "a", DelaySeconds=5)
    sqs.now += 5
    assert sqs.bodies(url) == ["a"]
    assert [event["event"] for event in sqs.events.after(0)] == ["send", "assign"]


def test_a_deduplicated_send_and_a_purge_are_recorded(sqs: Sqs) -> None:
    """A dropped duplicate is no send; a purge stands in the log by itself."""
    url = sqs.create("q.fifo", ContentBasedDeduplication="true")
    sqs.send(url, "a", "a", MessageGroupId="1")
    sqs.call("PurgeQueue", QueueUrl=url)
    assert [event["event"] for event in sqs.events.after(0)] == ["send", "duplicate", "purge"]


def test_the_log_is_bounded_and_counts_what_it_dropped() -> None:
    """Beyond its capacity the oldest events go from memory; numbers go on; the file has them all."""
    sink = io.BytesIO()
    log = EventLog(lambda: 42, capacity=10, sink=sink)
    for place in range(25):
        log.record("x", now=1.0, place=place)
    kept = log.after(0)
    assert kept[-1] == {"n": 25, "event": "x", "ns": 42, "now": 1.0, "place": 24}
    assert log.truncated + len(kept) == 25
    assert len(kept) <= 10
    assert [orjson.loads(line)["place"] for line in sink.getvalue().splitlines()] == list(range(25))


def test_events_are_read_by_number() -> None:
    """`after` gives what follows a number, also one that was dropped or is not there yet."""
    log = EventLog(capacity=10)
    for _ in range(12):
        log.record("x", now=2.0)
    assert log.after(10)[0]["n"] == 11
    assert log.after(12) == log.after(99) == []
    assert log.after(0)[0]["n"] == log.truncated + 1
    assert len(log.after(0, limit=3)) == 3
    assert log.after(11)[0]["ns"] == 2_000_000_000


def test_without_a_log_nothing_is_recorded_and_all_works(sqs: Sqs) -> None:
    """The log is off by default for the sake of speed."""
    sqs.broker.events = None
    url = sqs.create("off")
    sqs.send(url, "a")
    sqs.delete(url, sqs.one(url))
    assert sqs.events.after(0) == []
