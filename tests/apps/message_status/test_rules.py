"""Test process: what a delivery status becomes, and what is refused; see apps/message_status/rules.py."""

from __future__ import annotations

import contextlib
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from apps.message_status.rules import FIELDS, BadStatus, event, group

NAMES = list(FIELDS)
STATUS = {
    "snsMessageId": "m-1",
    "deliveryStatus": "SUCCESS",
    "providerResponse": "accepted",
    "timestamp": "2026-01-01T00:00:00Z",
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
spaces = st.text(alphabet=" \t\r\n", max_size=3)


def made(body: bytes | str, *, source_queue: str = "StatusUpdateQueue", processed_at: float = 0.0) -> str:
    text = body.encode() if isinstance(body, str) else body
    return event(text, source_queue=source_queue, processed_at=processed_at).decode()


def with_response(text: str) -> str:
    """A body whose providerResponse is this very JSON text."""
    return json.dumps(STATUS | {"providerResponse": "@"}).replace('"@"', text)


def response_text(text: str) -> str:
    """The very text that the event has for it."""
    return made(with_response(text)).partition('"response":')[2].rpartition(',"timestamp"')[0]


def test_a_status_becomes_an_event() -> None:
    """The four values under their new names, the constant of the queue, and when; nothing else, in this order."""
    seen = json.loads(made(json.dumps(STATUS | {"extra": 1}), source_queue="DLQ", processed_at=1_700_000_000.123))
    assert list(seen.items()) == [
        ("messageId", "m-1"),
        ("status", "SUCCESS"),
        ("response", "accepted"),
        ("timestamp", "2026-01-01T00:00:00Z"),
        ("sourceQueue", "DLQ"),
        ("processedAt", "2023-11-14T22:13:20.123Z"),
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_700_000_000.0, "2023-11-14T22:13:20.000Z"),
        (1_709_164_799.9999, "2024-02-28T23:59:59.999Z"),
        (1_709_164_800.5, "2024-02-29T00:00:00.500Z"),
    ],
)
def test_the_time_is_utc_with_milliseconds_and_z(seconds: float, text: str) -> None:
    """ISO 8601 in every case: whole seconds keep their zeros, and a leap day is one."""
    assert json.loads(made(json.dumps(STATUS), processed_at=seconds))["processedAt"] == text


@given(st.tuples(json_values, json_values, json_values, json_values), spaces, st.booleans())
@example((2**63, -(2**63) - 1, 2**64, 10**400), "", True)
@example(("\ufffe", {"\uffff": "\ufffd"}, "\x00\x1b\x7f\u2028", ""), " ", True)
def test_every_value_passes_through_unchanged(values: tuple[Any, ...], space: str, ascii_only: bool) -> None:
    """Null, numbers of any size, nested values, any text: the event's values equal the status's, type by type."""
    text = json.dumps(
        dict(zip(NAMES, values, strict=True)), ensure_ascii=ascii_only, separators=(f",{space}", f"{space}:")
    )
    try:
        body = (space + text + space).encode()
    except UnicodeEncodeError:
        assume(False)
    seen = json.loads(made(body))
    assert repr([seen[new] for new in FIELDS.values()]) == repr(list(values))
    json.loads(made(body), parse_float=Decimal)


@pytest.mark.parametrize(
    "text",
    [
        "1e400",
        "-1E-400",
        "0.1000000000000000055511151231257827021181583404541015625",
        "123456789012345678901234567890",
        "9" * 5000,
        "-0.0",
        "1.10",
        "[1.0, 1.00]",
        '{"a": 1, "a": 2}',
        r'"\ud800"',
        r'"a\ufffeb"',
        r'["\/\u0000"]',
        "[" * 500 + "]" * 500,
    ],
)
def test_what_decoding_would_change_is_copied(text: str) -> None:
    """Precision, size, repetition, escapes: where Python's values would lose something, the text itself is kept."""
    assert response_text(text) == text


@given(st.text(), st.sampled_from(["\ufffe", "\uffff", "\ufffd", "\uffee", ""]))
def test_no_event_has_a_character_that_sqs_refuses(text: str, mark: str) -> None:
    """An escape in a status stays one: written out, U+FFFE or a control character would be InvalidMessageContents."""
    seen = made(json.dumps(STATUS | {"providerResponse": text + mark}))
    assert not set(seen) & {*map(chr, range(0x20)), "\ufffe", "\uffff"}
    assert json.loads(seen)["response"] == text + mark


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"SUCCESS", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"{'snsMessageId': 1}", "not JSON"),
        (json.dumps(STATUS).encode()[:-10], "not JSON"),
        (json.dumps(STATUS).encode() + b"}", "Extra data"),
        (json.dumps(STATUS).encode()[:-1] + b",}", "not JSON"),
        (json.dumps(STATUS)[:-1].encode() + b',"x":1e999,"y":tru}', "not JSON"),
        (json.dumps(STATUS)[:-1].encode() + b',"x":1e999 "y":1}', "not JSON"),
        (json.dumps(STATUS)[:-1].encode() + b',"x":1e999,"y"}', "not JSON"),
        (with_response("NaN").encode(), "holds NaN"),
        (with_response("[-Infinity]").encode(), "holds -Infinity"),
        (with_response('"\n"').encode(), "not JSON"),
        (with_response("01").encode(), "not JSON"),
        (with_response('"\xff"').encode("latin-1"), "not UTF-8 at byte"),
        (b"[]", "array, not an object"),
        (b'"text"', "string, not an object"),
        (b"12", "number, not an object"),
        (b"true", "boolean, not an object"),
        (b"null", "null, not an object"),
        (b"{}", "missing fields: snsMessageId, deliveryStatus, providerResponse, timestamp"),
        (b'{"x": 1e999}', "missing fields: snsMessageId, deliveryStatus, providerResponse, timestamp"),
    ],
)
def test_what_is_no_status_is_refused_with_the_reason(body: bytes, why: str) -> None:
    """Each kind of bad body is a BadStatus with a text that an operator understands."""
    with pytest.raises(BadStatus, match=why):
        made(body)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_field_is_named(name: str) -> None:
    """One missing field: the reason names it, and none of the message's content gets into the log."""
    body = json.dumps({other: "secret" for other in NAMES if other != name})
    with pytest.raises(BadStatus) as raised:
        made(body)
    assert str(raised.value) == f"missing field: {name}"


def test_nesting_beyond_measure_is_refused_and_harmless() -> None:
    """Half a million brackets end in BadStatus, whichever reader meets them."""
    with pytest.raises(BadStatus):
        made(with_response("[" * 500_000 + "]" * 500_000))


@given(st.binary())
def test_no_bytes_do_anything_else(body: bytes) -> None:
    """Whatever the body: an event, or BadStatus."""
    with contextlib.suppress(BadStatus):
        assert json.loads(made(body))


@pytest.mark.parametrize(
    ("message_id", "expected"),
    [
        ('"5f2a-1"', "5f2a-1"),
        ('"' + "x" * 128 + '"', "x" * 128),
        ('"' + "x" * 129 + '"', None),
        ('""', None),
        ('"two words"', None),
        ('"\\u00fc"', None),
        ("7", None),
        ("null", None),
    ],
)
def test_the_group_is_the_sns_message_if_it_can_be(message_id: str, expected: str | None) -> None:
    """A FIFO queue of events keeps the order per SNS message; an id that SQS would refuse is no group."""
    assert group(b'{"snsMessageId": ' + message_id.encode() + b"}") == expected


def test_a_body_without_an_id_has_no_group() -> None:
    """Arrays, other objects and broken JSON alike."""
    assert [group(body) for body in (b"[]", b"{}", b"{", b'"x"')] == [None] * 4
