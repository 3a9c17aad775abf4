"""Test process: S3 events; see worker/envelopes/s3.py."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.envelopes.samples import TEST_EVENT, notification, s3_event
from worker import Message, Reject
from worker.envelopes import S3Record, s3_records, sns


def test_a_record_has_its_fields() -> None:
    """Bucket, key, size, version, sequencer, time and name."""
    body = json.dumps(s3_event("uploads/u1/photo.jpg", versionId="v7")).encode()
    assert s3_records(Message(id="m", body=body, queue="q")) == [
        S3Record(
            bucket="images",
            key="uploads/u1/photo.jpg",
            event_name="ObjectCreated:Put",
            event_time="2026-05-02T00:54:06.655Z",
            region="eu-west-1",
            size=1024,
            etag="d41d8c",
            version_id="v7",
            sequencer="0055AED6DCD90281E5",
        )
    ]


def test_every_record_is_given() -> None:
    """S3 may write more than one, in order."""
    assert [record.key for record in s3_records(s3_event("a", "b", "c"))] == ["a", "b", "c"]


@given(st.text(min_size=1).filter(lambda key: key.isprintable()))
def test_a_key_is_decoded(key: str) -> None:
    """S3 writes keys as in a URL, a space as +."""
    assert s3_records(s3_event(quote_plus(key)))[0].key == key


def test_an_event_comes_through_sns_too() -> None:
    """Unwrapped here, or by hand, or by the queue's table: the same records."""
    wrapped = json.dumps(notification(json.dumps(s3_event("my+photo.jpg"))))
    assert [record.key for record in s3_records(wrapped)] == ["my photo.jpg"]
    assert s3_records(sns(wrapped).text) == s3_records(wrapped)


def test_a_test_event_has_no_records() -> None:
    """S3 sends one when notifications are set up; also through SNS."""
    assert s3_records(TEST_EVENT) == []
    assert s3_records(notification(TEST_EVENT)) == []


def test_a_removal_has_no_size() -> None:
    """What S3 leaves out is None."""
    event = s3_event("a")
    del event["Records"][0]["s3"]["object"]["size"], event["Records"][0]["s3"]["object"]["eTag"]
    (record,) = s3_records(event)
    assert (record.size, record.etag, record.version_id) == (None, None, None)


def changed(change: Any) -> dict[str, Any]:
    event = s3_event("a", "b")
    change(event["Records"][1])
    return event


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "decode: $.Records: missing, so this is no S3 event"),
        ({"Records": []}, "decode: $.Records: empty, so this is no S3 event"),
        ({"Records": {}}, "decode: $.Records: expected an array, got an object"),
        ({"Records": [7]}, "decode: $.Records[0]: expected an object, got a number"),
        (changed(lambda one: one.pop("s3")), "decode: $.Records[1].s3: missing"),
        (changed(lambda one: one["s3"].pop("bucket")), "decode: $.Records[1].s3.bucket: missing"),
        (changed(lambda one: one["s3"]["object"].pop("key")), "decode: $.Records[1].s3.object.key: missing"),
        (changed(lambda one: one["s3"]["object"].update(key="%FF")), "decode: $.Records[1].s3.object.key: not UTF-8"),
        (
            changed(lambda one: one["s3"]["object"].update(size="9")),
            "decode: $.Records[1].s3.object.size: expected a w",
        ),
        (changed(lambda one: one.pop("eventTime")), "decode: $.Records[1].eventTime: missing"),
        (notification("no JSON"), "decode: $: the body is not JSON (invalid literal"),
    ],
)
def test_what_is_no_event_is_rejected(body: dict[str, Any], reason: str) -> None:
    """One broken record is a broken event: nobody knows what else is wrong."""
    with pytest.raises(Reject) as caught:
        s3_records(json.dumps(body))
    assert caught.value.reason.startswith(reason)
