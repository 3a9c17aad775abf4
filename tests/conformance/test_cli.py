"""Test process: the same SQS through the AWS CLI: each family of actions, and how the CLI shows errors.

A call costs half a second of CPU, so there are few of them; what they cannot say, the boto3 cases say.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conformance.aim import Target

Cli = Callable[..., Any]

#: The CLI has connections of its own; the target's are for what the cases look up beside it.
pytestmark = pytest.mark.parametrize("target", ["boto3"], indirect=True)


@pytest.fixture
def run(target: Target, aws_command: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `aws sqs ...` against the target."""

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [aws_command, *target.cli_arguments, "sqs", *arguments, "--output", "json"]
        return subprocess.run(command, env=target.environment, capture_output=True, text=True, check=False, timeout=60)

    return call


@pytest.fixture
def cli(run: Callable[..., subprocess.CompletedProcess[str]]) -> Cli:
    """Runs `aws sqs ...`, which must succeed; what it printed, as JSON."""

    def call(*arguments: str) -> Any:
        result = run(*arguments)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout) if result.stdout.strip() else {}

    return call


def test_the_life_of_a_queue(target: Target, cli: Cli) -> None:
    """Create, find, list, describe, change, tag, purge and delete a queue."""
    name = target.name("-cli")
    url = cli("create-queue", "--queue-name", name, "--attributes", "VisibilityTimeout=7", "--tags", "a=1")["QueueUrl"]
    assert cli("get-queue-url", "--queue-name", name) == {"QueueUrl": url}
    assert cli("list-queues", "--queue-name-prefix", name) == {"QueueUrls": [url]}
    assert cli("set-queue-attributes", "--queue-url", url, "--attributes", "DelaySeconds=3") == {}
    found = cli("get-queue-attributes", "--queue-url", url, "--attribute-names", "VisibilityTimeout", "DelaySeconds")
    assert found == {"Attributes": {"VisibilityTimeout": "7", "DelaySeconds": "3"}}
    cli("tag-queue", "--queue-url", url, "--tags", "b=2")
    cli("untag-queue", "--queue-url", url, "--tag-keys", "a")
    assert cli("list-queue-tags", "--queue-url", url) == {"Tags": {"b": "2"}}
    assert cli("purge-queue", "--queue-url", url) == {}
    assert cli("delete-queue", "--queue-url", url) == {}


def test_the_life_of_a_message(target: Target, cli: Cli) -> None:
    """Send, receive with attributes, change the visibility, delete."""
    url = target.queue()
    attributes = '{"Hello":{"DataType":"String","StringValue":"World"}}'
    trace = '{"AWSTraceHeader":{"DataType":"String","StringValue":"some-trace-id"}}'
    sent = cli(
        "send-message", "--queue-url", url, "--message-body", "Test Message",
        "--message-attributes", attributes, "--message-system-attributes", trace,
    )  # fmt: skip
    assert sent["MD5OfMessageBody"] == "d1d4180b7e411c4be86b00fb2ee103eb"
    assert sent["MD5OfMessageAttributes"] == "7db7fb1ba7f41366a8ea5eb18220b26d"
    assert sent["MD5OfMessageSystemAttributes"] == "fdce4f2818803f2f73becc09a54792c0"
    [message] = cli(
        "receive-message", "--queue-url", url, "--wait-time-seconds", "2",
        "--attribute-names", "All", "--message-attribute-names", "Hel.*",
    )["Messages"]  # fmt: skip
    assert message["MessageAttributes"] == json.loads(attributes)
    assert message["Attributes"]["AWSTraceHeader"] == "some-trace-id"
    handle = ("--receipt-handle", message["ReceiptHandle"])
    assert cli("change-message-visibility", "--queue-url", url, *handle, "--visibility-timeout", "0") == {}
    [again] = target.receive(url)
    assert cli("delete-message", "--queue-url", url, "--receipt-handle", again["ReceiptHandle"]) == {}
    assert target.depths(url) == (0, 0, 0)


def test_batches(target: Target, cli: Cli) -> None:
    """Batches of sends, changes and deletes, each with an entry that fails."""
    url = target.queue()
    entries: list[dict[str, Any]] = [{"Id": str(i), "MessageBody": body} for i, body in enumerate("ab\x01")]
    answer = cli("send-message-batch", "--queue-url", url, "--entries", json.dumps(entries))
    assert [sent["Id"] for sent in answer["Successful"]] == ["0", "1"]
    assert [failed["Code"] for failed in answer["Failed"]] == ["InvalidMessageContents"]
    entries = [{"Id": str(i), "ReceiptHandle": handle} for i, handle in enumerate(target.handles(url))]
    entries.append({"Id": "bad", "ReceiptHandle": "dummy"})
    changes = [entry | {"VisibilityTimeout": 20} for entry in entries]
    for operation, given in (("change-message-visibility-batch", changes), ("delete-message-batch", entries)):
        answer = cli(operation, "--queue-url", url, "--entries", json.dumps(given))
        assert answer["Successful"] == [{"Id": "0"}, {"Id": "1"}]
        [failed] = answer["Failed"]
        assert (failed["Id"], failed["Code"], failed["SenderFault"]) == ("bad", "ReceiptHandleIsInvalid", True)


def test_dead_letters_and_moves(target: Target, cli: Cli) -> None:
    """List the sources of a dead-letter queue; start, list and cancel a move out of it."""
    source, dead = target.dead_letter_pair(1)
    arn = target.arn(dead)
    assert cli("list-dead-letter-source-queues", "--queue-url", dead) == {"queueUrls": [source]}
    target.send(source, *"abcdefgh")
    for _ in range(16):
        target.receive(source, 1, VisibilityTimeout=0)
    rate = ("--max-number-of-messages-per-second", "1")
    # Eight messages at one a second: the task still runs when the CLI comes back to cancel it, on a busy machine too.
    handle = cli("start-message-move-task", "--source-arn", arn, *rate)["TaskHandle"]
    cancelled = cli("cancel-message-move-task", "--task-handle", handle)
    assert cancelled["ApproximateNumberOfMessagesMoved"] in range(1, 8)
    [task] = cli("list-message-move-tasks", "--source-arn", arn)["Results"]
    assert task["Status"] in ("CANCELLED", "CANCELLING")


def test_permissions(target: Target, cli: Cli) -> None:
    """Add a permission and remove it."""
    url = target.queue()
    account = target.arn(url).split(":")[4]
    cli(
        "add-permission", "--queue-url", url, "--label", "share",
        "--aws-account-ids", account, "--actions", "SendMessage",
    )  # fmt: skip
    cli("remove-permission", "--queue-url", url, "--label", "share")
    assert "Attributes" not in target.client.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("get-queue-url", "--queue-name", "conformance-none"),
            "(AWS.SimpleQueueService.NonExistentQueue) when calling the GetQueueUrl operation: "
            "The specified queue does not exist.",
        ),
        (
            ("create-queue", "--queue-name", "conformance none"),
            "(InvalidParameterValue) when calling the CreateQueue operation: "
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        ),
    ],
)
def test_errors(run: Callable[..., subprocess.CompletedProcess[str]], arguments: tuple[str, ...], said: str) -> None:
    """The CLI shows the older code and the message, and fails."""
    result = run(*arguments)
    assert result.returncode != 0
    assert said in result.stderr
