"""Test process: what is said of a dead letter; see apps/image_pipeline/alerts.py."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.image_pipeline.alerts import Letter, alert, error_info, read_letter

AT = "2026-01-01T00:00:00.000Z"
BODY = json.dumps({"imageId": "i-1", "userId": "u-1", "objectVersion": "v1", "uploadTimestamp": AT}).encode()
#: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
LIMIT = 256 * 1024


def test_an_alert_has_every_field() -> None:
    """Subject and message of a request that failed."""
    subject, text = alert(read_letter(BODY), body=BODY, at=AT, crash=None)
    assert subject == "Image Processing Failed - i-1"
    assert json.loads(text) == {
        "imageId": "i-1",
        "userId": "u-1",
        "error": "Message moved to DLQ",
        "timestamp": AT,
        "messageBody": BODY.decode(),
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"Records": []}',
        b'{"imageId": "i-1"}',
        b'{"imageId": "", "userId": "u"}',
        b'{"imageId": 1, "userId": "u"}',
        b'{"imageId": "' + b"i" * 1025 + b'", "userId": "u"}',
    ],
)
def test_what_names_no_image_is_told_as_well(body: bytes) -> None:
    """The body is in the alert, and the alert says that no row was marked."""
    assert read_letter(body) is None
    subject, text = alert(None, body=body, at=AT, crash=None)
    told = json.loads(text)
    assert subject == "Image Processing Failed - unknown"
    assert (told["imageId"], told["userId"]) == (None, None)
    assert told["error"].startswith("Message moved to DLQ: its body names no image")
    assert told["messageBody"] == body.decode(errors="replace")


def test_a_letter_needs_less_than_a_request() -> None:
    """A request that is broken elsewhere still names its image; what is no version or time is none."""
    assert read_letter(b'{"imageId": "i", "userId": "u"}') == Letter(image_id="i", user_id="u")
    odd = b'{"imageId": "i", "userId": "u", "objectVersion": 7, "uploadTimestamp": "soon"}'
    assert read_letter(odd) == Letter(image_id="i", user_id="u")
    assert read_letter(BODY) == Letter(image_id="i-1", user_id="u-1", version="v1", uploaded=AT)


@given(st.text(min_size=1), st.binary(), st.none() | st.text(max_size=100))
def test_every_alert_is_what_sns_takes(image_id: str, body: bytes, crash: str | None) -> None:
    """A subject of printable ASCII, fewer than 100 characters; a message within the limit."""
    letter = Letter(image_id=image_id, user_id="u")
    subject, text = alert(letter, body=body, at=AT, crash=crash)
    assert subject.isascii()
    assert subject.isprintable()
    assert subject.startswith("Image Processing Failed -")
    assert len(subject) < 100
    assert text.isascii()
    assert len(subject) + len(text) <= LIMIT
    assert json.loads(text)["imageId"] == image_id


@pytest.mark.parametrize("sign", ["x", '"', "ä", "\U0001f600", "\x00"])
def test_a_body_that_is_too_long_is_cut(sign: str) -> None:
    """SQS takes a mebibyte, SNS a quarter of it: the beginning is kept, and the alert says that it was cut."""
    body = (sign * 300_000).encode()
    subject, text = alert(None, body=body, at=AT, crash="x" * 8192)
    told = json.loads(text)
    assert LIMIT - 1100 < len(subject) + len(text) <= LIMIT
    assert told["messageBody"].endswith("[... cut by the alert]")
    assert told["messageBody"].rpartition(" [")[0].strip(sign) == ""


def test_a_crash_is_told() -> None:
    """What the pool noted of the handler processes that the message killed goes into row and alert."""
    crash = '{"signal":"SIGSEGV"}'
    assert crash in json.loads(alert(read_letter(BODY), body=BODY, at=AT, crash=crash)[1])["error"]
    assert error_info(at=AT, receive_count=2, crash=crash)["crash"] == crash
    assert error_info(at=AT, receive_count=2, crash=None) == {
        "reason": "Message moved to DLQ",
        "timestamp": AT,
        "receiveCount": 2,
    }


@given(st.binary())
def test_no_bytes_do_anything_else(body: bytes) -> None:
    """Whatever the body: an alert that SNS takes."""
    assert len(alert(read_letter(body), body=body, at=AT, crash=None)[1]) < LIMIT
