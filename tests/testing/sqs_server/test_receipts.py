"""Test process: what receipt handles may do, on standard and FIFO queues."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from worker.testing.sqs_server.broker import Options

if TYPE_CHECKING:
    from tests.testing.sqs_server.model import Sqs

STANDARD, FIFO = "q", "q.fifo"
EXPIRED = "Reason: The receipt handle has expired."


def prepared(sqs: Sqs, name: str) -> str:
    url = sqs.create(name, VisibilityTimeout="30")
    more = {"MessageGroupId": "g", "MessageDeduplicationId": "1"} if name == FIFO else {}
    sqs.send(url, "body", **more)
    return url


@pytest.mark.parametrize("name", [STANDARD, FIFO])
def test_delete_within_the_visibility_timeout_deletes(sqs: Sqs, name: str) -> None:
    """A delete within the visibility timeout removes the message."""
    url = prepared(sqs, name)
    sqs.delete(url, sqs.one(url))
    sqs.now += 60
    assert sqs.depths(url) == (0, 0, 0)


def test_standard_delete_after_the_timeout_deletes_while_nobody_received_it_again(sqs: Sqs) -> None:
    """On a standard queue the newest receipt deletes even after its visibility timeout."""
    url = prepared(sqs, STANDARD)
    handle = sqs.one(url)
    sqs.now += 31
    sqs.delete(url, handle)
    assert sqs.depths(url) == (0, 0, 0)
    assert sqs.bodies(url) == []


def test_fifo_delete_after_the_timeout_is_refused(sqs: Sqs) -> None:
    """On a FIFO queue a receipt is refused once its visibility timeout has ended."""
    url = prepared(sqs, FIFO)
    handle = sqs.one(url)
    sqs.now += 30
    error = sqs.refused("DeleteMessage", QueueUrl=url, ReceiptHandle=handle)
    assert (error.code, error.shape) == ("InvalidParameterValue", "InvalidParameterValueException")
    assert error.message == f"Value {handle} for parameter ReceiptHandle is invalid. {EXPIRED}"
    assert sqs.depths(url) == (1, 0, 0)


def test_fifo_batch_delete_after_the_timeout_fails_its_entry(sqs: Sqs) -> None:
    """In a batch the expired FIFO receipt fails alone, as ReceiptHandleIsInvalid, by the sender's fault."""
    url = prepared(sqs, FIFO)
    handle = sqs.one(url)
    sqs.now += 30
    answer = sqs.call("DeleteMessageBatch", QueueUrl=url, Entries=[{"Id": "a", "ReceiptHandle": handle}])
    failed = {"Id": "a", "Code": "ReceiptHandleIsInvalid", "Message": "The receipt handle has expired"}
    assert answer == {"Failed": [failed | {"SenderFault": True}]}


def test_standard_old_receipt_succeeds_without_deleting(sqs: Sqs) -> None:
    """After a second receive the first receipt's delete succeeds, and the message stays."""
    url = prepared(sqs, STANDARD)
    old = sqs.one(url)
    sqs.now += 31
    new = sqs.one(url)
    sqs.delete(url, old)
    assert sqs.depths(url) == (0, 1, 0)
    sqs.delete(url, new)
    assert sqs.depths(url) == (0, 0, 0)


def test_fifo_old_receipt_is_refused(sqs: Sqs) -> None:
    """After a second receive of a FIFO message the first receipt is an error and deletes nothing."""
    url = prepared(sqs, FIFO)
    old = sqs.one(url)
    sqs.now += 31
    sqs.one(url)
    assert EXPIRED in sqs.refused("DeleteMessage", QueueUrl=url, ReceiptHandle=old).message
    assert sqs.depths(url) == (0, 1, 0)


@pytest.mark.parametrize("name", [STANDARD, FIFO])
def test_delete_twice_succeeds(sqs: Sqs, name: str) -> None:
    """The same receipt deletes twice without an error, on both types of queue."""
    url = prepared(sqs, name)
    handle = sqs.one(url)
    sqs.delete(url, handle)
    sqs.delete(url, handle)
    assert sqs.depths(url) == (0, 0, 0)


def test_delete_twelve_hours_after_the_receive_is_refused(sqs: Sqs) -> None:
    """A receipt of a standard queue expires 12 hours after its receive."""
    url = sqs.create(STANDARD, VisibilityTimeout="0", MessageRetentionPeriod="1209600")
    sqs.send(url, "body")
    handle = sqs.one(url)
    sqs.now += 43_200
    assert EXPIRED in sqs.refused("DeleteMessage", QueueUrl=url, ReceiptHandle=handle).message


def test_change_after_the_timeout_is_ignored_on_a_standard_queue(sqs: Sqs) -> None:
    """Changing a message that is visible again succeeds and hides nothing (recorded on AWS)."""
    url = prepared(sqs, STANDARD)
    handle = sqs.one(url)
    sqs.now += 31
    sqs.change(url, handle, 60)
    assert sqs.bodies(url) == ["body"]


@pytest.mark.parametrize(("name", "strict"), [(STANDARD, True), (FIFO, False)])
def test_change_after_the_timeout_is_not_in_flight(make_sqs: Callable[[Options], Sqs], name: str, strict: bool) -> None:
    """FIFO queues, and standard ones of a strict server, answer MessageNotInflight, and the message stays visible."""
    sqs = make_sqs(Options(strict_visibility=strict))
    url = prepared(sqs, name)
    handle = sqs.one(url)
    sqs.now += 31
    error = sqs.refused("ChangeMessageVisibility", QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=60)
    assert (error.shape, error.code) == ("MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight")
    assert sqs.bodies(url) == ["body"]


def test_standard_old_receipt_changes_the_message_in_flight(sqs: Sqs) -> None:
    """An older receipt still ends the visibility timeout of a later receive (recorded on AWS)."""
    url = prepared(sqs, STANDARD)
    old = sqs.one(url, VisibilityTimeout=0)
    sqs.one(url, VisibilityTimeout=30)
    sqs.change(url, old, 0)
    assert sqs.bodies(url) == ["body"]


def test_fifo_old_receipt_changes_nothing(sqs: Sqs) -> None:
    """An older FIFO receipt is refused, and the later receive keeps its message hidden."""
    url = prepared(sqs, FIFO)
    old = sqs.one(url, VisibilityTimeout=0)
    sqs.one(url, VisibilityTimeout=30)
    error = sqs.refused("ChangeMessageVisibility", QueueUrl=url, ReceiptHandle=old, VisibilityTimeout=0)
    assert error.shape == "ReceiptHandleIsInvalid"
    assert sqs.bodies(url) == []


def test_change_of_a_deleted_message_is_refused(sqs: Sqs) -> None:
    """Changing a deleted message answers that it does not exist (recorded on AWS)."""
    url = prepared(sqs, STANDARD)
    handle = sqs.one(url)
    sqs.delete(url, handle)
    error = sqs.refused("ChangeMessageVisibility", QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=42)
    assert error.message == (
        f"Value {handle} for parameter ReceiptHandle is invalid. "
        "Reason: Message does not exist or is not available for visibility timeout change."
    )


@pytest.mark.parametrize("seconds", [0, 43_200])
def test_a_batch_changes_visibility_within_its_limits(sqs: Sqs, seconds: int) -> None:
    """Both ends of the range are accepted."""
    url = prepared(sqs, STANDARD)
    entry = {"Id": "a", "ReceiptHandle": sqs.one(url), "VisibilityTimeout": seconds}
    assert sqs.call("ChangeMessageVisibilityBatch", QueueUrl=url, Entries=[entry]) == {"Successful": [{"Id": "a"}]}
    assert sqs.bodies(url) == ([] if seconds else ["body"])


@pytest.mark.parametrize("name", [STANDARD, FIFO])
def test_twelve_hours_are_counted_from_the_receive(sqs: Sqs, name: str) -> None:
    """Extending never resets the 12 hours: what would end later is refused, not cut short."""
    url = prepared(sqs, name)
    handle = sqs.one(url, VisibilityTimeout=43_200)
    sqs.now += 100
    error = sqs.refused("ChangeMessageVisibility", QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=43_101)
    assert error.message.endswith("Total VisibilityTimeout for the message is beyond the limit [43200 seconds]")
    sqs.change(url, handle, 43_100)
    sqs.now += 43_099
    assert sqs.bodies(url) == []
    sqs.now += 1
    assert sqs.bodies(url) == ["body"]


def test_receipts_of_another_queue_are_invalid(sqs: Sqs) -> None:
    """A receipt handle opens nothing in a queue it does not come from, nor does anything else."""
    url, other = prepared(sqs, STANDARD), sqs.create("other")
    handle = sqs.one(url)
    for bad in (handle, handle[:-1] + "x", "AQEB", "garbage"):
        error = sqs.refused("DeleteMessage", QueueUrl=other, ReceiptHandle=bad)
        assert (error.shape, error.status) == ("ReceiptHandleIsInvalid", 404)
        assert error.message == f'The input receipt handle "{bad}" is not a valid receipt handle.'


def test_receipts_of_a_recreated_queue_are_new(make_sqs: Callable[[Options], Sqs]) -> None:
    """A queue that was deleted and made again does not take the receipts of the old one."""
    sqs = make_sqs(Options(cooldowns=False))
    url = prepared(sqs, STANDARD)
    handle = sqs.one(url)
    sqs.call("DeleteQueue", QueueUrl=url)
    url = prepared(sqs, STANDARD)
    sqs.one(url)
    assert sqs.refused("DeleteMessage", QueueUrl=url, ReceiptHandle=handle).shape == "ReceiptHandleIsInvalid"


def test_every_receive_gives_a_new_receipt_of_aws_length(sqs: Sqs) -> None:
    """Receipts differ from receive to receive and are as long as those of AWS, at most 1,024 characters."""
    url = prepared(sqs, STANDARD)
    handles = {sqs.one(url, VisibilityTimeout=0) for _ in range(5)}
    assert len(handles) == 5
    assert {len(handle) for handle in handles} == {412}
