"""Test process: how notifications are cut into messages and read, and who is still to be sent to."""

from __future__ import annotations

import contextlib
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apps.notifications.rules import (
    FEW,
    MOST_BYTES,
    BadNotification,
    Recipient,
    cut,
    delivery_key,
    outstanding,
    queue_for,
    read,
)

BATCH = "5f0c2a52-7d0e-4f9e-9b8a-6f6f3b0f9d11"
GOOD = {"batch_id": BATCH, "chunk": 0, "content": "hello", "channel": "line", "recipients": [{"id": "a"}]}
texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
ids = texts.filter(lambda text: 0 < len(text.encode()) <= 1024) | st.integers(-(10**50), 10**50)
recipients = st.builds(lambda fields, id_: fields | {"id": id_}, st.dictionaries(texts, json_values, max_size=3), ids)


def made(recipients: list[dict[str, Any]], *, content: str = "hello", channel: str = "line", most: int = 100) -> Any:
    return cut(BATCH, content=content, channel=channel, recipients=recipients, most=most)


def body(**changes: Any) -> bytes:
    return json.dumps(GOOD | changes).encode()


def test_up_to_five_recipients_go_to_the_send_queue() -> None:
    """Five are few, six are many."""
    assert [queue_for(count) for count in (1, 5, 6, 1000)] == ["send", "send", "batch", "batch"]
    assert FEW == 5


def test_a_body_has_the_five_fields_of_the_contract() -> None:
    """As JSON, with the recipients as they were given."""
    (chunk,) = made([{"id": "a", "line_id": "U1", "more": {"x": [1, None]}}, {"id": 7}], content="Grüße \u2603")
    assert json.loads(chunk.body) == {
        "batch_id": BATCH,
        "chunk": 0,
        "content": "Grüße \u2603",
        "channel": "line",
        "recipients": [{"id": "a", "line_id": "U1", "more": {"x": [1, None]}}, {"id": 7}],
    }
    assert list(json.loads(chunk.body)) == ["batch_id", "chunk", "content", "channel", "recipients"]


@given(st.lists(recipients, min_size=1, max_size=12), texts, st.integers(1, 5))
@example([{"id": "\ufffe"}], "\uffff\x00", 1)
def test_what_is_cut_is_read_again(given: list[dict[str, Any]], content: str, most: int) -> None:
    """Every recipient is in one message, in order, unchanged; no message has more than it may; chunks are numbered."""
    chunks = made(given, content=content, most=most)
    seen = [read(chunk.body) for chunk in chunks]
    assert [one.chunk for one in seen] == list(range(len(chunks)))
    assert {(one.batch_id, one.content, one.channel) for one in seen} == {(BATCH, content, "line")}
    assert [recipient.fields for one in seen for recipient in one.recipients] == given
    assert [dict(recipient) for chunk in chunks for recipient in chunk.recipients] == given
    assert max(len(chunk.recipients) for chunk in chunks) <= most
    assert len(chunks) == -(-len(given) // most)


@given(st.lists(st.integers(0, 400_000), min_size=1, max_size=12), st.integers(1, 6))
def test_no_message_is_larger_than_sqs_takes(sizes: list[int], most: int) -> None:
    """Large recipients are fewer a message, and two neighbours are parted only where they must be."""
    given = [{"id": place, "note": "x" * size} for place, size in enumerate(sizes)]
    chunks = made(given, most=most)
    assert all(len(chunk.body) <= MOST_BYTES for chunk in chunks)
    assert [one for chunk in chunks for one in chunk.recipients] == given
    for chunk, after in pairwise(chunks):
        joined = len(chunk.body) + len(json.dumps(after.recipients[0], separators=(",", ":"))) + 1
        assert len(chunk.recipients) == most or joined > MOST_BYTES - 10


def test_a_message_is_filled_to_the_last_byte() -> None:
    """A recipient that just fits is sent, one byte more is refused."""
    room = MOST_BYTES - len(made([{"id": 1, "note": ""}])[0].body)
    assert len(made([{"id": 1, "note": "x" * room}])[0].body) == MOST_BYTES
    with pytest.raises(ValueError, match="recipient 0 and the content are more than a message"):
        made([{"id": 1, "note": "x" * (room + 1)}])
    with pytest.raises(ValueError, match="more than a message"):
        made([{"id": 1}], content="x" * MOST_BYTES)


@pytest.mark.parametrize(
    ("recipients", "why"),
    [
        ([], "no recipients"),
        (None, "recipients is not a list"),
        ({"id": "a"}, "recipients is not a list"),
        ("a", "recipients is not a list"),
        ([{"id": "a"}, {"name": "b"}], "recipient 1 has no id"),
        ([{"id": ""}], "recipient 0 has no id"),
        ([{"id": None}], "recipient 0 has no id"),
        ([{"id": True}], "neither text nor a whole number"),
        ([{"id": ["a"]}], "neither text nor a whole number"),
        ([{"id": 1.5}], "neither text nor a whole number"),
        ([{"id": "x" * 1025}], "more than 1024 bytes"),
        ([{"id": 10**200}], "more than 1024 bytes"),
        ([{"id": "\ud800"}], "half a surrogate pair"),
        (["a"], "recipient 0 is not an object"),
        ([{"id": "a", "when": object()}], "recipient 0 has a value that JSON cannot say"),
        ([{"id": "a", "x": float("nan")}], "recipient 0 has a value that JSON cannot say"),
        ([{"id": "a", "x": "\udfff"}], "recipient 0 has a value that JSON cannot say"),
    ],
)
def test_recipients_that_cannot_be_sent_to_are_refused(recipients: Any, why: str) -> None:
    """With the place of the first that is wrong."""
    with pytest.raises(ValueError, match=why):
        made(recipients)


@pytest.mark.parametrize("channel", ["", "fax", "LINE", None, 3, ["line"]])
def test_an_unknown_channel_is_refused(channel: Any) -> None:
    """Only the six names, as they are written."""
    with pytest.raises(ValueError, match="unknown channel"):
        made([{"id": "a"}], channel=channel)


def test_content_has_to_be_text() -> None:
    """Bytes, numbers and half surrogate pairs are none."""
    for content in (b"x", 5, None, "\ud800"):
        with pytest.raises(ValueError, match="content"):
            made([{"id": "a"}], content=content)  # type: ignore[arg-type]  # that is the test


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b"", "not JSON"),
        (b"hello", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"x": NaN}', "not JSON"),
        (b'{"x": 1e999}', "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "missing fields: batch_id, chunk, content, channel, recipients"),
        (json.dumps({name: value for name, value in GOOD.items() if name != "chunk"}).encode(), "missing field: chunk"),
        (body(batch_id=""), "batch_id is not text"),
        (body(batch_id=5), "batch_id is not text"),
        (body(batch_id="x" * 257), "batch_id is not text"),
        (body(batch_id="\ud800"), "batch_id holds half"),
        (body(chunk="0"), "chunk is not a whole number"),
        (body(chunk=True), "chunk is not a whole number"),
        (body(recipients={"id": "a"}), "recipients is not a list"),
        (body(recipients=[]), "no recipients"),
        (body(recipients=["secret"]), "recipient 0 is not an object"),
        (body(recipients=[{"id": "a"}, {"email": "secret"}]), "recipient 1 has no id"),
        (body(channel="secret"), "unknown channel"),
        (body(content=None), "content is not text"),
        (body(content="\ud800"), "content holds half"),
    ],
)
def test_what_is_no_notification_is_refused_with_the_reason(bad: bytes, why: str) -> None:
    """Each kind of bad body; the reason shows none of its content."""
    with pytest.raises(BadNotification, match=why) as raised:
        read(bad)
    assert "secret" not in str(raised.value)


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_do_anything_else(body: bytes) -> None:
    """Whatever the body: a notification, or BadNotification."""
    with contextlib.suppress(BadNotification):
        assert read(body).recipients


def people(*names: str) -> list[Recipient]:
    return [Recipient(place, name, {"id": name}) for place, name in enumerate(names)]


def test_only_those_who_lack_it_are_sent_to() -> None:
    """Who has a row is left out, and an id that stands there twice is tried once."""
    wanted = outstanding(people("a", "b", "a", "c", "b"), delivered={"b"}, receive=1)
    assert [(one.place, one.id) for one in wanted] == [(0, "a"), (3, "c")]


def test_each_receive_begins_one_further_on() -> None:
    """The first of those who failed last time comes last, and the others are tried before it."""
    order = ["".join(one.id for one in outstanding(people(*"abcd"), delivered={"a"}, receive=n)) for n in (1, 2, 3, 4)]
    assert order == ["bcd", "cdb", "dbc", "bcd"]


@given(st.lists(st.sampled_from("abcdef")), st.sets(st.sampled_from("abcdef")), st.integers(1, 50))
def test_nobody_is_forgotten(names: list[str], delivered: set[str], receive: int) -> None:
    """Whatever has been delivered and however often it was received: each who lacks it is there once."""
    wanted = outstanding(people(*names), delivered=delivered, receive=receive)
    assert sorted(one.id for one in wanted) == sorted(set(names) - delivered)


@given(texts, texts, texts)
def test_a_key_is_a_header_and_belongs_to_one_recipient(batch: str, one: str, other: str) -> None:
    """ASCII that can be seen, and different for different recipients."""
    key = delivery_key(batch, one)
    assert all("!" <= character <= "~" for character in key)
    assert (delivery_key(batch, other) == key) == (one == other)


def test_an_ordinary_key_is_batch_colon_recipient() -> None:
    """Nothing is changed in ids of visible ASCII."""
    assert delivery_key(BATCH, "user-1@example.com") == f"{BATCH}:user-1@example.com"
    assert delivery_key(BATCH, "Zoë 1%\r\nX: y") == f"{BATCH}:Zo%C3%AB%201%25%0D%0AX:%20y"
