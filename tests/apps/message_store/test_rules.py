"""Test process: what a message is in the table; see apps/message_store/rules.py."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.message_store.rules import LARGEST_ITEM, Invalid, Origin, item, key, line, timestamp, trace_id

ORIGIN = Origin(message_id="sqs-1", group_id="g", sent_at=1_735_689_600.0, queue_name="messages.fifo")
NOW = 1_735_689_600.5
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def test_an_item_has_the_bodys_very_text_and_where_it_came_from() -> None:
    """All attributes are texts; times are UTC with milliseconds."""
    body = '{ "message_id": "m-1", "price": 1.10, "big": 18446744073709551616, "text": "Zo\\u00eb \u2603" }'
    assert item(body.encode(), ORIGIN, saved_at=NOW) == {
        "message_id": {"S": "m-1"},
        "body": {"S": body},
        "group_id": {"S": "g"},
        "sent_at": {"S": "2025-01-01T00:00:00.000Z"},
        "saved_at": {"S": "2025-01-01T00:00:00.500Z"},
        "queue_name": {"S": "messages.fifo"},
    }


@given(json_values)
def test_any_json_is_saved_and_read_back(value: object) -> None:
    """Under its own message_id where it has a good one, else under that of SQS, unless the id can be no key."""
    body = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    own = value.get("message_id") if isinstance(value, dict) else None
    try:
        made = item(body, ORIGIN, saved_at=NOW)
    except Invalid:
        assert isinstance(own, bool | float | list | dict)
        return
    assert json.loads(made["body"]["S"]) == value
    assert made["message_id"]["S"] == ("sqs-1" if own in (None, "") else str(own))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"message_id": "m-1"}', "m-1"),
        ('{"message_id": 7}', "7"),
        ('{"message_id": 0}', "0"),
        ('{"message_id": null}', "sqs-1"),
        ('{"message_id": ""}', "sqs-1"),
        ("{}", "sqs-1"),
        ('["message_id"]', "sqs-1"),
        ('"message_id"', "sqs-1"),
        ("null", "sqs-1"),
        (f'{{"message_id": "{"x" * 2048}"}}', "x" * 2048),
    ],
)
def test_the_key_is_the_bodys_message_id_or_else_that_of_sqs(body: str, expected: str) -> None:
    """Text and whole numbers are keys; nothing, null and the empty text are not."""
    assert key(body.encode(), message_id="sqs-1") == expected


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not JSON"),
        (b'{"message_id": "m', "not JSON"),
        (b"NaN", "not JSON"),
        (b'"\xff"', "not JSON"),
        (b'"\\ud800"', "not JSON"),
        (b'{"message_id": true}', "but a bool"),
        (b'{"message_id": 1.5}', "but a float"),
        (b'{"message_id": 18446744073709551616}', "but a float"),
        (b'{"message_id": ["m"]}', "but a list"),
        (b'{"message_id": {}}', "but a dict"),
        (b'{"message_id": "' + b"x" * 2049 + b'"}', "more than 2,048 bytes"),
        (b'"' + b"x" * LARGEST_ITEM + b'"', "DynamoDB takes 409,600"),
    ],
)
def test_what_can_never_be_saved_is_invalid(body: bytes, why: str) -> None:
    """The reason says what is wrong; it holds nothing of the body."""
    with pytest.raises(Invalid, match=why) as caught:
        item(body, ORIGIN, saved_at=NOW)
    assert "xxx" not in str(caught.value)


def test_a_standard_queue_has_no_group() -> None:
    """The attribute is left out."""
    origin = Origin(message_id="sqs-1", group_id=None, sent_at=0.0, queue_name="messages")
    assert "group_id" not in item(b"{}", origin, saved_at=NOW)


def test_a_log_line_has_exactly_these_keys() -> None:
    """One line of JSON, whatever the details hold; long texts are cut."""
    text = line("dynamodb_save", "success", trace="t", details={"key": "a\nb" + "x" * 500, "count": 1}, now=NOW)
    assert "\n" not in text
    assert json.loads(text) == {
        "trace_id": "t",
        "action": "dynamodb_save",
        "status": "success",
        "details": {"key": ("a\nb" + "x" * 500)[:200], "count": 1},
        "timestamp": "2025-01-01T00:00:00.500Z",
    }


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Root=1-67891233-abcdef012345678912345678;Sampled=1", "1-67891233-abcdef012345678912345678"),
        ("Parent=4; Root=1-2-3", "1-2-3"),
        ("Root=", "sqs-1"),
        ("nonsense", "sqs-1"),
        (f"Root={'x' * 500}", "x" * 128),
    ],
)
def test_the_trace_id_is_the_one_of_the_pools_own_lines(header: str, expected: str) -> None:
    """The handler's lines and the poller's line of the delete are of one trace."""
    from worker.policy.delivery import Delivery, Received
    from worker.poller.bookkeeper import trace_id as of_the_pool

    attributes = {"AWSTraceHeader": header}
    delivery = Delivery(1, "sqs-1", receipt="r", group="", received_at=0.0)
    delivery.message = Received("sqs-1", "r", b"", attributes, {})
    assert trace_id(attributes, message_id="sqs-1") == of_the_pool(delivery) == expected
    assert trace_id({}, message_id="sqs-1") == "sqs-1"


@given(st.floats(0, 4e9, allow_nan=False))
def test_timestamps_are_utc_with_milliseconds(seconds: float) -> None:
    """They sort as their times do."""
    text = timestamp(seconds)
    assert len(text) == len("2025-01-01T00:00:00.000Z")
    assert text <= timestamp(math.ceil(seconds) + 1)
