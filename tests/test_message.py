"""Test process: what a handler function sees of a message, and what it may answer; see worker/message.py."""

from __future__ import annotations

import math
from typing import Any

import pytest

from worker import Forward, LeaseLost, Message, Reject, Retry
from worker.message import LONGEST_LEASE


def message(**fields: Any) -> Message:
    return Message(**({"id": "m-1", "body": b'{"total": 5}', "queue": "orders"} | fields))


def test_the_body_is_bytes_text_or_json() -> None:
    """One body, three views of it."""
    seen = message(body='{"name": "Zoë"}'.encode())
    assert (seen.text, seen.json()) == ('{"name": "Zoë"}', {"name": "Zoë"})
    with pytest.raises(UnicodeDecodeError):
        _ = message(body=b"\xff").text


@pytest.mark.parametrize("body", [b"", b"{", b"NaN", b'"\\ud800"', b"\xff", b"[" * 100_000, b'{"a":1}{}'])
def test_what_is_not_json_is_a_value_error(body: bytes) -> None:
    """Hostile bodies raise ValueError, which unhandled becomes a retry; none crashes the process or passes."""
    with pytest.raises(ValueError):  # noqa: PT011 - the text is orjson's
        message(body=body).json()


def test_system_attributes_are_typed() -> None:
    """Counts are numbers, times are seconds; what SQS did not say has a value that a first receive would have."""
    told = {"ApproximateReceiveCount": "3", "SentTimestamp": "1700000000123", "MessageGroupId": "g"}
    seen = message(attributes=told)
    assert (seen.receive_count, seen.sent_at, seen.group) == (3, 1700000000.123, "g")
    assert (message().receive_count, message().sent_at, message().group) == (1, 0.0, None)


def test_extend_moves_the_deadline_and_tells_the_slot() -> None:
    """The new deadline counts from now, is at most 12 hours after the receive, and reaches who watches it."""
    told: list[float] = []
    seen = message(deadline=310.0, clock=lambda: 100.0, move_deadline=told.append, latest=LONGEST_LEASE)
    assert seen.remaining == 210.0
    seen.extend(500)
    assert (seen.deadline, seen.remaining) == (600.0, 500.0)
    seen.extend(math.inf)
    assert seen.deadline == LONGEST_LEASE
    assert told == [600.0, LONGEST_LEASE]


@pytest.mark.parametrize("seconds", [0, -1, math.nan])
def test_extend_refuses_a_deadline_that_does_not_lie_ahead(seconds: float) -> None:
    """Zero, the past and NaN (which would never be overdue) are errors, and the deadline stays."""
    seen = message(deadline=5.0)
    with pytest.raises(ValueError, match="must lie ahead"):
        seen.extend(seconds)
    assert seen.deadline == 5.0


def test_extend_says_when_the_lease_is_lost() -> None:
    """A handler function that asks for more time learns that the message is somebody else's."""
    with pytest.raises(LeaseLost, match="m-1"):
        message(lease_lost=True).extend(10)


@pytest.mark.parametrize("after", [-1, 43_200.5, math.nan, math.inf])
def test_a_retry_beyond_what_sqs_hides_is_refused(after: float) -> None:
    """SQS hides a message for 0 to 43,200 seconds; the handler function learns it at once."""
    with pytest.raises(ValueError, match=r"0 to 43,200"):
        Retry(after=after)


def test_outcomes_carry_their_reasons() -> None:
    """What is raised tells why, in the exception's text as well; a retry without a reason says so."""
    assert (str(Reject("negative total")), Reject("negative total").reason) == ("negative total", "negative total")
    assert (Retry(30, "no stock").after, str(Retry(30, "no stock")), str(Retry())) == (30, "no stock", "retry")
    assert Retry(0).after == 0
    assert Forward(queue="events", body=b"{}") == Forward(queue="events", body=b"{}", attributes={})


def test_two_messages_are_never_equal() -> None:
    """A message is a delivery, not a value: it can be a key, and two deliveries of one body differ."""
    first, second = message(), message()
    assert first != second
    assert len({first, second}) == 2
