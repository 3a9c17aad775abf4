"""Test process: what only time brings about: visibility timeouts, delays and orders after them, through boto3.

Waiting for each case by itself would take most of a minute. So every case first prepares its queue; then all wait
together, once, for the server's own clock (a long poll on an empty queue); then each looks at what has become of it.
The facts were recorded on AWS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conformance.aim import Target

Check = Callable[[], None]
Prepare = Callable[["Target"], Check]
CASES: list[Prepare] = []
#: Seconds; the timeouts that a case lets run out, and those that must not.
SHORT, LONG = "1", "60"


def case(prepare: Prepare) -> Prepare:
    """Registers a case: it prepares, and returns what is to be checked after two seconds."""
    CASES.append(prepare)
    return prepare


@case
def message_is_received_again_with_another_receipt(target: Target) -> Check:
    url = target.queue(VisibilityTimeout=SHORT)
    target.send(url, "foobar")
    [first] = target.handles(url)
    assert target.bodies(url) == []

    def check() -> None:
        [second] = target.handles(url, WaitTimeSeconds=5)
        assert first != second

    return check


@case
def standard_delete_after_the_timeout_deletes(target: Target) -> Check:
    url = target.queue(VisibilityTimeout=SHORT)
    target.send(url, "foobar")
    [handle] = target.handles(url)

    def check() -> None:
        target.client.delete_message(QueueUrl=url, ReceiptHandle=handle)
        assert target.bodies(url) == []
        target.wait_for_depths(url, (0, 0, 0))

    return check


@case
def standard_delete_with_an_old_receipt_deletes_nothing(target: Target) -> Check:
    url = target.queue(VisibilityTimeout=SHORT)
    target.send(url, "foobar")
    [old] = target.handles(url)

    def check() -> None:
        [new] = target.handles(url, VisibilityTimeout=60, WaitTimeSeconds=5)
        target.client.delete_message(QueueUrl=url, ReceiptHandle=old)
        target.client.change_message_visibility(QueueUrl=url, ReceiptHandle=new, VisibilityTimeout=0)
        assert target.bodies(url) == ["foobar"]

    return check


@case
def fifo_delete_after_the_timeout_is_refused(target: Target) -> Check:
    url = target.fifo(VisibilityTimeout=SHORT)
    target.send(url, "1-foobar")
    [handle] = target.handles(url)

    def check() -> None:
        error = target.refused("delete_message", QueueUrl=url, ReceiptHandle=handle)
        assert (error["Code"], error["QueryErrorCode"]) == ("InvalidParameterValue", "InvalidParameterValueException")
        assert error["Message"] == (
            f"Value {handle} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired."
        )
        entries: Any = [{"Id": "a", "ReceiptHandle": handle}]
        [failed] = target.client.delete_message_batch(QueueUrl=url, Entries=entries)["Failed"]
        assert (failed["Code"], failed["SenderFault"]) == ("ReceiptHandleIsInvalid", True)
        assert target.bodies(url) == ["1-foobar"]

    return check


@case
def fifo_delete_within_an_extended_timeout_deletes(target: Target) -> Check:
    url = target.fifo(VisibilityTimeout=SHORT)
    target.send(url, "1-foobar")
    [handle] = target.handles(url)
    target.client.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=60)

    def check() -> None:
        target.client.delete_message(QueueUrl=url, ReceiptHandle=handle)
        assert target.bodies(url) == []

    return check


@case
def extended_message_stays_hidden(target: Target) -> Check:
    url = target.queue(VisibilityTimeout=SHORT)
    target.send(url, "test")
    [handle] = target.handles(url)
    target.client.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=60)

    def check() -> None:
        assert target.bodies(url) == []
        target.client.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
        assert target.bodies(url) == ["test"]

    return check


@case
def change_after_the_timeout_succeeds_on_a_standard_queue(target: Target) -> Check:
    url = target.queue(VisibilityTimeout=SHORT)
    target.send(url, "test")
    [handle] = target.handles(url)

    def check() -> None:
        target.client.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=2)

    return check


@case
def expired_message_comes_before_a_newer_one(target: Target) -> Check:
    url = target.queue()
    target.send(url, "test1")
    assert target.bodies(url, VisibilityTimeout=1) == ["test1"]
    target.send(url, "test2")

    def check() -> None:
        assert target.bodies(url, 1) == ["test1"]

    return check


@case
def delayed_message_appears(target: Target) -> Check:
    url = target.queue()
    target.send(url, "foobar", DelaySeconds=1)
    assert target.bodies(url) == []

    def check() -> None:
        assert target.bodies(url, WaitTimeSeconds=2) == ["foobar"]

    return check


@case
def fifo_queue_delays_its_messages_in_order(target: Target) -> Check:
    url = target.fifo(DelaySeconds=SHORT)
    target.send(url, "1-a", "1-b", "1-c", DelaySeconds=0)
    assert target.bodies(url) == []

    def check() -> None:
        assert target.bodies(url, 3) == ["1-a", "1-b", "1-c"]

    return check


@case
def fifo_batch_comes_back_in_order(target: Target) -> Check:
    url = target.fifo(VisibilityTimeout=SHORT)
    bodies = [f"1-message-{i}" for i in range(4)]
    target.send(url, *bodies)
    assert target.bodies(url) == bodies

    def check() -> None:
        assert target.bodies(url) == bodies

    return check


@case
def fifo_groups_come_back_behind_those_that_waited(target: Target) -> Check:
    url = target.fifo(VisibilityTimeout=SHORT)
    target.send(url, "g1-m1", "g1-m2", "g1-m3", "g1-m4", "g2-m1", "g3-m1")
    assert target.bodies(url, 2) == ["g1-m1", "g1-m2"]
    assert target.bodies(url, 1) == ["g2-m1"]

    def check() -> None:
        assert target.bodies(url, VisibilityTimeout=0) == ["g3-m1", "g1-m1", "g1-m2", "g1-m3", "g1-m4", "g2-m1"]

    return check


@case
def fifo_shortened_head_comes_back_alone(target: Target) -> Check:
    url = target.fifo(VisibilityTimeout=LONG)
    target.send(url, "g1-m1", "g1-m2", "g2-m1")
    first, _ = target.handles(url, 2)
    target.client.change_message_visibility(QueueUrl=url, ReceiptHandle=first, VisibilityTimeout=1)

    def check() -> None:
        assert target.bodies(url, 3) == ["g2-m1", "g1-m1"]

    return check


def extended_fifo_message(position: int) -> Prepare:
    """Of three expired messages of a group the one at `position` was extended: those before it come back."""

    def prepare(target: Target) -> Check:
        url = target.fifo(VisibilityTimeout=SHORT)
        bodies = ["1-foo", "1-bar", "1-baz"]
        target.send(url, *bodies)
        handle = target.handles(url)[position]
        target.client.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=60)

        def check() -> None:
            assert target.bodies(url) == bodies[:position]

        return check

    prepare.__name__ = f"fifo_extended_message_{position}_hides_all_behind_it"
    return prepare


CASES.extend(extended_fifo_message(position) for position in range(3))


@case
def purge_takes_messages_in_flight_and_delayed_ones(target: Target) -> Check:
    url = target.queue(VisibilityTimeout=SHORT)
    target.send(url, "a", "b")
    assert len(target.handles(url, 1)) == 1
    target.send(url, "c", DelaySeconds=1)
    target.client.purge_queue(QueueUrl=url)

    def check() -> None:
        assert target.bodies(url) == []

    return check


@pytest.fixture(scope="module")
def checks(target: Target) -> dict[str, Check]:
    """All cases, prepared, two seconds ago by the server's clock."""
    prepared = {prepare.__name__: prepare(target) for prepare in CASES}
    assert target.bodies(target.queue(), WaitTimeSeconds=2) == []
    return prepared


@pytest.mark.parametrize("name", [prepare.__name__ for prepare in CASES])
def test_after_a_while(checks: dict[str, Check], name: str) -> None:
    """The fact that the case is named for holds after its timeouts have run out."""
    checks[name]()
