"""Test process: dead-letter queues, and move tasks that bring their messages back."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import orjson
import pytest

if TYPE_CHECKING:
    from tests.testing.sqs_server.model import Sqs


def pair(sqs: Sqs, most: int, suffix: str = "") -> tuple[str, str]:
    """A source queue and its dead-letter queue."""
    extra = {"ContentBasedDeduplication": "true"} if suffix else {}
    dead = sqs.create("dead" + suffix, **extra)
    policy = orjson.dumps({"deadLetterTargetArn": sqs.arn(dead), "maxReceiveCount": most}).decode()
    return sqs.create("source" + suffix, RedrivePolicy=policy, VisibilityTimeout="10", **extra), dead


def kill(sqs: Sqs, url: str, *bodies: str) -> None:
    """Sends bodies and receives them until the dead-letter queue has them (maxReceiveCount 1)."""
    sqs.send(url, *bodies)
    for _ in range(2 * len(bodies)):
        sqs.bodies(url, 1, VisibilityTimeout=0)


def test_a_message_moves_when_its_receives_exceed_the_maximum(sqs: Sqs) -> None:
    """maxReceiveCount receives are given; the next one moves the message and gives nothing."""
    source, dead = pair(sqs, 3)
    sqs.send(source, "a")
    for _ in range(3):
        assert sqs.bodies(source) == ["a"]
        sqs.now += 10
    assert sqs.bodies(dead) == []
    assert sqs.bodies(source) == []
    assert sqs.bodies(dead) == ["a"]
    assert sqs.depths(source) == (0, 0, 0)


def test_a_receive_goes_on_after_a_moved_message(sqs: Sqs) -> None:
    """Messages behind a poison message are given in the same receive."""
    source, dead = pair(sqs, 1)
    sqs.send(source, "poison")
    sqs.one(source)
    sqs.now += 10
    sqs.send(source, "good")
    assert sqs.bodies(source) == ["good"]
    assert sqs.bodies(dead) == ["poison"]


def test_a_dead_letter_keeps_what_it_was(sqs: Sqs) -> None:
    """Id, sent time, first receive, attributes and the receive count go on; the source's ARN is added (recorded)."""
    source, dead = pair(sqs, 1)
    attributes = {"a": {"DataType": "String", "StringValue": "v"}}
    trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1"}}
    [message_id] = sqs.send(source, "x", MessageAttributes=attributes, MessageSystemAttributes=trace)
    [before] = sqs.receive(source, AttributeNames=["All"], VisibilityTimeout=0)
    sqs.now += 5
    sqs.receive(source)
    [after] = sqs.receive(dead, AttributeNames=["All"], MessageAttributeNames=["All"])
    assert after["MessageId"] == message_id
    assert after["MessageAttributes"] == attributes
    assert after["Attributes"] == before["Attributes"] | {
        "ApproximateReceiveCount": "2",
        "DeadLetterQueueSourceArn": sqs.arn(source),
    }


def test_a_fifo_dead_letter_keeps_its_group_and_gets_a_new_deduplication_id(sqs: Sqs) -> None:
    """A FIFO message moves with its group; its id becomes the deduplication id, its sent time is new."""
    source, dead = pair(sqs, 1, ".fifo")
    [message_id] = sqs.send(source, "x", MessageGroupId="g")
    sqs.receive(source, VisibilityTimeout=0)
    sqs.now += 5
    assert sqs.bodies(source) == []
    [moved] = sqs.receive(dead, AttributeNames=["All"])
    assert moved["MessageId"] == message_id
    assert moved["Attributes"]["MessageGroupId"] == "g"
    assert moved["Attributes"]["MessageDeduplicationId"] == message_id
    assert moved["Attributes"]["SentTimestamp"] == str(int(sqs.now * 1000))
    sqs.send(source, "y", MessageGroupId="g")
    assert sqs.bodies(source) == ["y"]


def test_a_chain_counts_receives_per_queue(sqs: Sqs) -> None:
    """A dead-letter queue with one of its own gives a message as often as its own policy says."""
    last = sqs.create("last")
    policy = orjson.dumps({"deadLetterTargetArn": sqs.arn(last), "maxReceiveCount": 1}).decode()
    middle = sqs.create("middle", RedrivePolicy=policy)
    policy = orjson.dumps({"deadLetterTargetArn": sqs.arn(middle), "maxReceiveCount": 1}).decode()
    first = sqs.create("first", RedrivePolicy=policy)
    sqs.send(first, "x")
    for url in (first, middle):
        assert sqs.bodies(url, VisibilityTimeout=0) == ["x"]
        assert sqs.bodies(url) == []
    assert sqs.bodies(last) == ["x"]


def test_what_retention_ends_is_no_dead_letter(sqs: Sqs) -> None:
    """A message past its retention is gone, also when its receives are spent."""
    source, dead = pair(sqs, 1)
    sqs.call("SetQueueAttributes", QueueUrl=source, Attributes={"MessageRetentionPeriod": "60"})
    sqs.send(source, "received", "never received")
    assert sqs.bodies(source, 1) == ["received"]
    sqs.now += 61
    assert sqs.bodies(source) == []
    assert sqs.depths(dead) == (0, 0, 0)


def test_without_its_dead_letter_queue_a_message_stays(sqs: Sqs) -> None:
    """When the dead-letter queue was deleted messages are given on and on, never lost."""
    source, dead = pair(sqs, 1)
    sqs.call("DeleteQueue", QueueUrl=dead)
    sqs.send(source, "x")
    for _ in range(3):
        assert sqs.bodies(source, VisibilityTimeout=0) == ["x"]


def test_old_receipts_of_the_source_do_nothing(sqs: Sqs) -> None:
    """After the move the source's receipt deletes nothing, and answers success."""
    source, dead = pair(sqs, 1)
    sqs.send(source, "x")
    handle = sqs.one(source, VisibilityTimeout=0)
    sqs.receive(source)
    sqs.delete(source, handle)
    assert sqs.bodies(dead) == ["x"]


def test_sources_of_a_dead_letter_queue_are_listed(sqs: Sqs) -> None:
    """ListDeadLetterSourceQueues names them, and an empty list where there are none."""
    source, dead = pair(sqs, 1)
    assert sqs.call("ListDeadLetterSourceQueues", QueueUrl=dead) == {"queueUrls": [source]}
    assert sqs.call("ListDeadLetterSourceQueues", QueueUrl=source) == {"queueUrls": []}


def start(sqs: Sqs, source: str, **more: Any) -> str:
    """Starts a move task and runs what is due; its handle."""
    handle: str = sqs.call("StartMessageMoveTask", SourceArn=sqs.arn(source), **more)["TaskHandle"]
    sqs.broker.complete(sqs.now)
    return handle


def tasks(sqs: Sqs, source: str, **more: Any) -> list[dict[str, Any]]:
    """The newest move task of a queue, or as many as asked for."""
    found: list[dict[str, Any]] = sqs.call("ListMessageMoveTasks", SourceArn=sqs.arn(source), **more).get("Results", [])
    return found


def test_a_move_brings_messages_back_to_their_source(sqs: Sqs) -> None:
    """Without a destination messages go where they came from, as new ones: id, time and count start again."""
    source, dead = pair(sqs, 1)
    kill(sqs, source, "a", "b")
    old = {message["MessageId"] for message in sqs.receive(dead, VisibilityTimeout=0)}
    start(sqs, dead)
    sqs.broker.complete(sqs.now + 1)
    messages = sqs.receive(source, AttributeNames=["All"])
    assert {message["Body"] for message in messages} == {"a", "b"}
    assert {message["Attributes"]["ApproximateReceiveCount"] for message in messages} == {"1"}
    assert not old & {message["MessageId"] for message in messages}
    assert sqs.depths(dead) == (0, 0, 0)


def test_a_move_goes_at_the_rate_asked_for(sqs: Sqs) -> None:
    """The first message moves at once, then one for each second at a rate of 1."""
    source, dead = pair(sqs, 1)
    kill(sqs, source, *"abcd")
    target = sqs.create("target")
    handle = start(sqs, dead, DestinationArn=sqs.arn(target), MaxNumberOfMessagesPerSecond=1)
    [task] = tasks(sqs, dead)
    assert task == {
        "TaskHandle": handle,
        "Status": "RUNNING",
        "SourceArn": sqs.arn(dead),
        "DestinationArn": sqs.arn(target),
        "MaxNumberOfMessagesPerSecond": 1,
        "ApproximateNumberOfMessagesMoved": 1,
        "ApproximateNumberOfMessagesToMove": 4,
        "StartedTimestamp": int(sqs.now * 1000),
    }
    for moved in (2, 3, 4):
        moment = sqs.broker.next_moment()
        assert moment == sqs.now + 1
        sqs.now = moment
        sqs.broker.complete(sqs.now)
        assert sqs.depths(target)[0] == moved
    [task] = tasks(sqs, dead)
    assert (task["Status"], "TaskHandle" in task) == ("COMPLETED", False)
    assert sqs.broker.next_moment() is None


def test_a_cancelled_move_leaves_the_rest(sqs: Sqs) -> None:
    """Cancelling keeps what was moved, tells how many, and frees the queue for another task."""
    source, dead = pair(sqs, 1)
    kill(sqs, source, *"abc")
    handle = start(sqs, dead, MaxNumberOfMessagesPerSecond=1)
    assert sqs.call("CancelMessageMoveTask", TaskHandle=handle) == {"ApproximateNumberOfMessagesMoved": 1}
    sqs.broker.complete(sqs.now + 10)
    assert sqs.depths(dead)[0] == 2
    assert tasks(sqs, dead)[0]["Status"] == "CANCELLED"
    assert "cancelled" in sqs.refused("CancelMessageMoveTask", TaskHandle=handle).message
    start(sqs, dead)
    assert [task["Status"] for task in tasks(sqs, dead, MaxResults=10)] == ["RUNNING", "CANCELLED"]


def test_a_move_fails_when_its_destination_goes(sqs: Sqs) -> None:
    """The task fails with the query code of a missing queue, and the rest stays where it is."""
    source, dead = pair(sqs, 1)
    kill(sqs, source, *"abc")
    target = sqs.create("target")
    start(sqs, dead, DestinationArn=sqs.arn(target), MaxNumberOfMessagesPerSecond=1)
    sqs.call("DeleteQueue", QueueUrl=target)
    sqs.broker.complete(sqs.now + 1)
    [task] = tasks(sqs, dead)
    assert (task["Status"], task["FailureReason"]) == ("FAILED", "AWS.SimpleQueueService.NonExistentQueue")
    assert sqs.depths(dead) == (2, 0, 0)
    assert len(sqs.bodies(dead)) == 2


def test_a_move_of_messages_that_came_from_nowhere_fails(sqs: Sqs) -> None:
    """A message that was sent to the dead-letter queue itself has no source to go back to."""
    _, dead = pair(sqs, 1)
    sqs.send(dead, "x")
    start(sqs, dead)
    assert tasks(sqs, dead)[0]["FailureReason"] == "CouldNotDetermineMessageSource"
    assert sqs.bodies(dead) == ["x"]


def test_a_hundred_moves_run_at_a_time(sqs: Sqs) -> None:
    """The next one is over the limit."""
    dead_letter_queues = []
    for number in range(101):
        dead = sqs.create(f"dead-{number}")
        sqs.create(f"source-{number}", RedrivePolicy=f'{{"deadLetterTargetArn":"{sqs.arn(dead)}","maxReceiveCount":1}}')
        sqs.send(dead, "x", "y")
        dead_letter_queues.append(dead)
    destination = sqs.arn(sqs.create("target"))
    asked = {"DestinationArn": destination, "MaxNumberOfMessagesPerSecond": 1}
    for dead in dead_letter_queues[:100]:
        start(sqs, dead, **asked)
    error = sqs.refused("StartMessageMoveTask", SourceArn=sqs.arn(dead_letter_queues[100]), **asked)
    assert error.code.endswith("OverLimit")


def test_what_a_move_task_refuses(sqs: Sqs) -> None:
    """Sources, destinations, rates and handles that AWS refuses, in its words."""
    source, dead = pair(sqs, 1)
    dead_arn, plain = sqs.arn(dead), sqs.create("plain")
    fifo = sqs.create("x.fifo")
    cases: list[tuple[dict[str, Any], str, int]] = [
        ({"SourceArn": sqs.arn(plain)}, "Source queue must be configured as a Dead Letter Queue.", 400),
        (
            {"SourceArn": dead_arn + "x"},
            "The resource that you specified for the SourceArn parameter doesn't exist.",
            404,
        ),
        (
            {"SourceArn": dead_arn, "DestinationArn": dead_arn + "x"},
            "The resource that you specified for the DestinationArn parameter doesn't exist.",
            404,
        ),
        (
            {"SourceArn": dead_arn, "DestinationArn": dead_arn},
            "Source queue arn and destination queue arn cannot be the same.",
            400,
        ),
        (
            {"SourceArn": dead_arn, "DestinationArn": sqs.arn(fifo)},
            "The source queue and destination queue must be of the same queue type.",
            400,
        ),
        ({"SourceArn": dead_arn, "MaxNumberOfMessagesPerSecond": 501}, "between 1 and 500", 400),
        ({"SourceArn": "dead"}, "You must use this format to specify the SourceArn", 400),
        ({}, "The request must contain the parameter SourceArn.", 400),
    ]
    for request, message, status in cases:
        error = sqs.refused("StartMessageMoveTask", **request)
        assert message in error.message
        assert error.status == status
    kill(sqs, source, "a", "b")
    start(sqs, dead, MaxNumberOfMessagesPerSecond=1)
    assert "already a task running" in sqs.refused("StartMessageMoveTask", SourceArn=dead_arn).message


@pytest.mark.parametrize(
    ("arn", "message", "status"),
    [
        (None, "Value for parameter TaskHandle is invalid.", 400),
        ("nowhere", "The resource that you specified for the SourceArn parameter doesn't exist.", 404),
        ("dead", "Task does not exist.", 404),
    ],
)
def test_task_handles_that_name_no_task(sqs: Sqs, arn: str | None, message: str, status: int) -> None:
    """A handle is base64 of JSON with task and source; anything else, and unknown ones, are refused (recorded)."""
    pair(sqs, 1)
    handle = "foobared"
    if arn is not None:
        value = {"taskId": "10f57157", "sourceArn": f"arn:aws:sqs:us-east-1:000000000000:{arn}"}
        handle = base64.b64encode(orjson.dumps(value)).decode()
    error = sqs.refused("CancelMessageMoveTask", TaskHandle=handle)
    assert (error.message, error.status) == (message, status)
