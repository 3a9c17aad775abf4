"""Test process: dead-letter queues and move tasks, through boto3 (facts recorded on AWS)."""

from __future__ import annotations

import base64
import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conformance.aim import Target


def kill(target: Target, source: str, *bodies: str) -> None:
    """Sends bodies and receives each twice, which moves them to the dead-letter queue (maxReceiveCount 1)."""
    target.send(source, *bodies)
    for _ in range(2 * len(bodies)):
        target.receive(source, 1, VisibilityTimeout=0)


def moved(target: Target, source_arn: str, **wanted: Any) -> dict[str, Any]:
    """Waits until the newest move task shows what is wanted of it."""
    end = time.monotonic() + 30
    while True:
        [task] = target.client.list_message_move_tasks(SourceArn=source_arn)["Results"]
        if all(task.get(name) == value for name, value in wanted.items()):
            return dict(task)
        assert time.monotonic() < end, task
        time.sleep(0.05)


def test_a_dead_letter_is_what_it_was(target: Target) -> None:
    """Id, sent time, attributes and the receive count go along; the source's ARN is added."""
    source, dead = target.dead_letter_pair(1)
    attributes: Any = {"MyAttribute": {"StringValue": "foobar", "DataType": "String"}}
    trace: Any = {"AWSTraceHeader": {"StringValue": "Root=1-5759e988-bd862e3f", "DataType": "String"}}
    target.send(source, "message-1", MessageAttributes=attributes, MessageSystemAttributes=trace)
    asked: dict[str, Any] = {"AttributeNames": ["All"], "MessageAttributeNames": ["All"]}
    [before] = target.receive(source, VisibilityTimeout=0, **asked)
    assert target.receive(source, VisibilityTimeout=0) == []
    [after] = target.receive(dead, WaitTimeSeconds=10, **asked)
    assert before["Attributes"]["ApproximateReceiveCount"] == "1"
    expected = {"ApproximateReceiveCount": "2", "DeadLetterQueueSourceArn": target.arn(source)}
    assert after["Attributes"] == before["Attributes"] | expected
    for name in ("MessageId", "Body", "MD5OfBody", "MessageAttributes", "MD5OfMessageAttributes"):
        assert after[name] == before[name]
    assert after["MD5OfMessageAttributes"] == "adb59cd4678ea5a855436b949cd07ab6"


def test_a_fifo_dead_letter(target: Target) -> None:
    """A FIFO message moves after its receives, and its group goes on."""
    dead = target.fifo(MessageRetentionPeriod="1209600")
    policy = json.dumps({"deadLetterTargetArn": target.arn(dead), "maxReceiveCount": 2})
    source = target.fifo(VisibilityTimeout="60", RedrivePolicy=policy)
    target.send(source, "1-foobar")
    [first] = target.receive(source, VisibilityTimeout=0)
    assert len(target.receive(source, VisibilityTimeout=0)) == 1
    assert target.receive(source, VisibilityTimeout=0) == []
    [letter] = target.receive(dead, WaitTimeSeconds=10)
    assert (letter["MessageId"], letter["Body"]) == (first["MessageId"], "1-foobar")
    target.send(source, "1-foobar2")
    assert target.bodies(source, WaitTimeSeconds=1) == ["1-foobar2"]


def test_a_move_to_a_destination(target: Target) -> None:
    """Messages move to the destination, the task ends, and its handle names task and source."""
    source, dead = target.dead_letter_pair(1)
    destination = target.queue()
    kill(target, source, "message-1", "message-2")
    target.wait_for_depths(dead, (2, 0, 0))
    dead_arn, arn = target.arn(dead), target.arn(destination)
    handle = target.client.start_message_move_task(SourceArn=dead_arn, DestinationArn=arn)["TaskHandle"]
    named = json.loads(base64.b64decode(handle))
    assert uuid.UUID(named["taskId"])
    assert named["sourceArn"] == dead_arn
    task = moved(target, dead_arn, Status="COMPLETED", ApproximateNumberOfMessagesMoved=2)
    started = task.pop("StartedTimestamp")
    assert abs(started / 1000 - time.time()) < 60
    assert task == {
        "ApproximateNumberOfMessagesMoved": 2,
        "ApproximateNumberOfMessagesToMove": 2,
        "DestinationArn": arn,
        "SourceArn": dead_arn,
        "Status": "COMPLETED",
    }
    assert set(target.bodies(destination, WaitTimeSeconds=5)) == {"message-1", "message-2"}
    assert target.bodies(dead) == []


def test_a_move_back_to_the_source(target: Target) -> None:
    """Without a destination messages go back to the queue they came from, as new messages."""
    source, dead = target.dead_letter_pair(1)
    kill(target, source, "message")
    [letter] = target.receive(dead, VisibilityTimeout=0, WaitTimeSeconds=5)
    target.client.start_message_move_task(SourceArn=target.arn(dead))
    [message] = target.receive(source, WaitTimeSeconds=10, AttributeNames=["ApproximateReceiveCount"])
    assert message["Body"] == "message"
    assert message["MessageId"] != letter["MessageId"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"


def test_a_move_at_a_rate_is_cancelled(target: Target) -> None:
    """At one message a second a task runs on, refuses a second task, and can be stopped on the way."""
    source, dead = target.dead_letter_pair(1)
    destination = target.queue()
    bodies = [f"message-{i}" for i in range(5)]
    kill(target, source, *bodies)
    target.wait_for_depths(dead, (5, 0, 0))
    request: Any = {"SourceArn": target.arn(dead), "DestinationArn": target.arn(destination)}
    rate = {"MaxNumberOfMessagesPerSecond": 1}
    start = time.monotonic()
    handle = target.client.start_message_move_task(**request, **rate)["TaskHandle"]
    error = target.refused("start_message_move_task", **request)
    assert (error["Code"], error["Message"]) == (
        "InvalidParameterValue",
        "There is already a task running. Only one active task is allowed for a source queue arn at a given time.",
    )
    arrived: list[str] = []
    while len(arrived) < 2:
        arrived += target.bodies(destination, WaitTimeSeconds=5)
        assert time.monotonic() - start < 60
    assert time.monotonic() - start >= 0.9
    task = moved(target, request["SourceArn"], Status="RUNNING")
    assert task["TaskHandle"] == handle
    assert task["MaxNumberOfMessagesPerSecond"] == 1
    assert task["ApproximateNumberOfMessagesToMove"] == 5
    assert "ApproximateNumberOfMessagesMoved" in target.client.cancel_message_move_task(TaskHandle=handle)
    task = moved(target, request["SourceArn"], Status="CANCELLED")
    assert "TaskHandle" not in task
    assert target.bodies(dead)


def test_a_move_fails_with_its_destination(target: Target) -> None:
    """A destination that is deleted meanwhile fails the task, and the rest stays."""
    source, dead = target.dead_letter_pair(1)
    destination = target.queue()
    kill(target, source, *(f"message-{i}" for i in range(4)))
    target.wait_for_depths(dead, (4, 0, 0))
    arn = target.arn(dead)
    target.client.start_message_move_task(
        SourceArn=arn, DestinationArn=target.arn(destination), MaxNumberOfMessagesPerSecond=2
    )
    target.client.delete_queue(QueueUrl=destination)
    task = moved(target, arn, Status="FAILED")
    assert task["FailureReason"] == "AWS.SimpleQueueService.NonExistentQueue"
    assert target.bodies(dead)


@pytest.mark.parametrize(
    ("member", "change", "code", "status", "message"),
    [
        ("SourceArn", "plain", "InvalidParameterValue", 400, "Source queue must be configured as a Dead Letter Queue."),
        (
            "DestinationArn",
            "missing",
            "ResourceNotFoundException",
            404,
            "The resource that you specified for the DestinationArn parameter doesn't exist.",
        ),
    ],
)
def test_moves_that_are_refused(target: Target, member: str, change: str, code: str, status: int, message: str) -> None:
    """A source that is no dead-letter queue, and a destination that is not there."""
    _, dead = target.dead_letter_pair(1)
    plain = target.arn(target.queue())
    request = {"SourceArn": target.arn(dead), "DestinationArn": target.arn(target.queue())}
    request[member] = plain if change == "plain" else plain + "doesntexist"
    error = target.refused("start_message_move_task", **request)
    assert (error["Code"], error["Status"], error["Message"]) == (code, status, message)


@pytest.mark.parametrize(
    ("there", "message"),
    [
        (False, "The resource that you specified for the SourceArn parameter doesn't exist."),
        (True, "Task does not exist."),
    ],
)
def test_handles_of_tasks_that_are_not_there(target: Target, there: bool, message: str) -> None:
    """A well-formed handle of an unknown source or task is not found."""
    arn = target.arn(target.queue()) + ("" if there else "-gone")
    handle = base64.b64encode(json.dumps({"taskId": str(uuid.uuid4()), "sourceArn": arn}).encode()).decode()
    error = target.refused("cancel_message_move_task", TaskHandle=handle)
    assert (error["Code"], error["Status"], error["Message"]) == ("ResourceNotFoundException", 404, message)
