"""Test process: what an uploaded object becomes, and what a request is; see apps/image_pipeline/rules.py."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from apps.image_pipeline.rules import (
    BadRequest,
    BadUpload,
    ImageKey,
    Request,
    execution_arn,
    execution_name,
    image_key,
    instant,
    read_request,
    request_of,
    timestamp,
)
from worker.envelopes import S3Record, s3_records
from worker.handler.attributes import encode

REQUEST = {
    "imageId": "i-1",
    "userId": "u-1",
    "bucketName": "uploads",
    "s3Key": "uploads/u-1/i-1.png",
    "objectVersion": "v1",
    "uploadTimestamp": "2026-01-01T00:00:00.000Z",
}
#: Whatever S3 takes in a segment of a key, and SQS in an attribute.
segments = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/\ufffe\uffff"), min_size=1, max_size=40
)


def record(**changes: Any) -> S3Record:
    known = {
        "bucket": "uploads",
        "key": "uploads/u-1/i-1.png",
        "event_name": "ObjectCreated:Put",
        "event_time": "2026-01-01T00:00:00.000Z",
        "size": 10,
        "version_id": "v1",
        "sequencer": "00A1",
    }
    return S3Record(**known | changes)


def s3_event(key: str) -> dict[str, Any]:
    """As S3 writes it: the key is encoded as in a URL."""
    about = {"eventName": "ObjectCreated:Put", "eventTime": "2026-01-01T00:00:00.000Z", "awsRegion": "us-east-1"}
    stored = {"key": quote_plus(key, safe="/"), "size": 1, "sequencer": "00A1"}
    return {"Records": [about | {"s3": {"bucket": {"name": "uploads"}, "object": stored}}]}


@given(segments, segments, segments)
@example("u", "a.b", "jpg")
@example("..", "..", "gif")
@example("Zoë +%2F", " ", "%2e")
def test_every_key_of_three_segments_comes_back_in_its_parts(user_id: str, image_id: str, extension: str) -> None:
    """Through S3's encoding and back: user id, image id up to the last dot, extension behind it."""
    assume("." not in extension)
    key = f"uploads/{user_id}/{image_id}.{extension}"
    [found] = s3_records(s3_event(key))
    assert found.key == key
    assert image_key(found.key) == ImageKey(user_id=user_id, image_id=image_id, extension=extension)
    text, attributes = request_of(found, None)
    body = json.loads(text)
    assert (body["imageId"], body["userId"], body["s3Key"]) == (image_id, user_id, key)
    assert body["fileName"] == f"{image_id}.{extension}"
    encode(attributes)  # both raise for what SQS would refuse
    assert read_request(text.encode()).key == key


@given(st.text(max_size=60))
@example("uploads/u/i.png/")
@example("/uploads/u/i.png")
@example("uploads//u/i.png")
def test_no_key_does_anything_else(key: str) -> None:
    """Whatever the key: three whole segments after which nothing is missing, or BadUpload."""
    with contextlib.suppress(BadUpload):
        found = image_key(key)
        assert key == f"uploads/{found.user_id}/{found.image_id}.{found.extension}"
        assert "/" not in found.user_id + found.image_id + found.extension
        assert "." not in found.extension


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("", "segments are 1 and not 3"),
        ("i.png", "segments are 1 and not 3"),
        ("uploads/i.png", "segments are 2 and not 3"),
        ("uploads/u/album/i.png", "segments are 4 and not 3"),
        ("uploads/u/i.png/", "segments are 4 and not 3"),
        ("/uploads/u/i.png", "segments are 4 and not 3"),
        ("thumbnails/u/i.png", "it begins otherwise"),
        ("Uploads/u/i.png", "it begins otherwise"),
        ("uploads//i.png", "it has no user id"),
        ("uploads/u/", "it has no dot"),
        ("uploads/u/png", "it has no dot"),
        ("uploads/u/.png", "it has no image id"),
        ("uploads/u/i.", "it has no extension"),
        ("uploads/u/.", "it has no image id"),
        ("uploads/u/\x00.png", "U\\+0000"),
        ("uploads/\ufffe/i.png", "U\\+FFFE"),
    ],
)
def test_what_is_no_image_is_refused_with_the_reason(key: str, why: str) -> None:
    """The reason names the key, and which part of it is wrong."""
    with pytest.raises(BadUpload, match=why):
        image_key(key)


def test_a_request_has_every_field() -> None:
    """Body and attributes of one upload, with metadata and without."""
    text, attributes = request_of(record(key="uploads/u 1/a.b.JPG"), {"camera": "x"})
    assert json.loads(text) == {
        "imageId": "a.b",
        "userId": "u 1",
        "s3Key": "uploads/u 1/a.b.JPG",
        "fileName": "a.b.JPG",
        "fileSize": 10,
        "fileType": "image/jpeg",
        "uploadTimestamp": "2026-01-01T00:00:00.000Z",
        "bucketName": "uploads",
        "objectVersion": "v1",
        "metadata": {"camera": "x"},
    }
    assert attributes == {"imageId": "a.b", "userId": "u 1", "priority": "normal", "processingType": "standard"}
    assert "metadata" not in json.loads(request_of(record(), None)[0])
    assert json.loads(request_of(record(), {})[0])["metadata"] == {}


@pytest.mark.parametrize(
    ("extension", "file_type"),
    [
        ("jpg", "image/jpeg"),
        ("jpeg", "image/jpeg"),
        ("png", "image/png"),
        ("gif", "image/gif"),
        ("PNG", "image/png"),
        ("webp", "application/octet-stream"),
        ("jpg ", "application/octet-stream"),
    ],
)
def test_the_file_type_is_by_the_extension(extension: str, file_type: str) -> None:
    """Three types are known; all else is octets."""
    assert json.loads(request_of(record(key=f"uploads/u/i.{extension}"), None)[0])["fileType"] == file_type


def test_the_object_version_is_the_version_id_else_the_sequencer() -> None:
    """A bucket without versioning has sequencers only."""
    versions = [record(), record(version_id=None), record(version_id="")]
    assert [json.loads(request_of(one, None)[0])["objectVersion"] for one in versions] == ["v1", "00A1", "00A1"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"version_id": None, "sequencer": None}, "neither versionId nor sequencer"),
        ({"size": None}, "no size"),
        ({"event_name": "ObjectRemoved:Delete"}, "'ObjectRemoved:Delete' is no upload"),
    ],
)
def test_a_record_of_no_upload_is_refused(changes: dict[str, Any], why: str) -> None:
    """A removal, or a record that lacks what a request needs."""
    with pytest.raises(BadUpload, match=why):
        request_of(record(**changes), None)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "no object"),
        (b"\xff", "not JSON"),
        *((json.dumps(REQUEST | {name: None}).encode(), f"{name} is missing") for name in REQUEST),
        *((json.dumps(REQUEST | {name: 7}).encode(), f"{name} is not a text") for name in REQUEST),
        *((json.dumps(REQUEST | {name: ""}).encode(), f"{name} is not a text, or empty") for name in REQUEST),
        (json.dumps(REQUEST | {"imageId": "ä" * 513}).encode(), "imageId has more than 1024 bytes"),
        (json.dumps(REQUEST | {"uploadTimestamp": "yesterday"}).encode(), "no time in ISO 8601"),
    ],
)
def test_what_is_no_request_is_refused_with_the_reason(body: bytes, why: str) -> None:
    """The field is named."""
    with pytest.raises(BadRequest, match=why):
        read_request(body)


def test_a_refusal_tells_nothing_of_the_content() -> None:
    """Reasons go to the log, where no body belongs."""
    for name in REQUEST:
        body = json.dumps(dict.fromkeys(REQUEST, "secret") | {name: 5}).encode()
        with pytest.raises(BadRequest) as raised:
            read_request(body)
        assert "secret" not in str(raised.value)


@given(st.binary())
def test_no_bytes_do_anything_else(body: bytes) -> None:
    """Whatever the body: a request, or BadRequest."""
    with contextlib.suppress(BadRequest):
        read_request(body)


def request(**changes: str) -> Request:
    known = {"image_id": "i-1", "user_id": "u", "bucket": "b", "key": "k", "version": "v", "uploaded": "t"}
    return Request(**known | changes)


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_a_name_is_what_step_functions_takes(image_id: str, key: str, version: str) -> None:
    """At most 80 of the allowed characters, with the whole hash at the end."""
    name = execution_name(request(image_id=image_id, key=key, version=version))
    assert re.fullmatch(r"image-processing-[A-Za-z0-9_-]{1,46}-[0-9a-f]{16}", name)
    assert name == execution_name(request(image_id=image_id, key=key, version=version))


def test_a_name_is_another_for_another_version_bucket_or_key() -> None:
    """Also where the three put together are the same text, and where ids differ in what was cut or replaced only."""
    same = [
        request(),
        request(version="w"),
        request(bucket="b2"),
        request(bucket="bk", key=""),
        request(bucket="", key="bk"),
        request(image_id="ä", key="ä"),
        request(image_id="ö", key="ö"),
        request(image_id="x" * 100, key="1"),
        request(image_id="x" * 100, key="2"),
    ]
    assert len({execution_name(one) for one in same}) == len(same)
    exact = hashlib.sha256(b'["b", "k", "v"]').hexdigest()
    assert execution_name(request()) == f"image-processing-i-1-{exact[:16]}"


@pytest.mark.parametrize(
    ("machine", "execution"),
    [
        (
            "arn:aws:states:us-east-1:000000000000:stateMachine:images",
            "arn:aws:states:us-east-1:000000000000:execution:images:n",
        ),
        (
            "arn:aws-cn:states:cn-north-1:000000000000:stateMachine:images:PROD",
            "arn:aws-cn:states:cn-north-1:000000000000:execution:images:n",
        ),
    ],
)
def test_the_arn_of_an_execution_follows_from_the_machines(machine: str, execution: str) -> None:
    """With an alias or a version as well, in every partition."""
    assert execution_arn(machine, "n") == execution


@pytest.mark.parametrize("text", ["", "images", "arn:aws:sns:us-east-1:0:images", "arn:aws:states:r:0:activity:x"])
def test_what_is_no_machine_is_refused(text: str) -> None:
    """The ARN of something else is named at once, not after the first message."""
    with pytest.raises(ValueError, match="no ARN of a state machine"):
        execution_arn(text, "n")


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z"),
        ("2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00.000Z"),
        ("2026-01-01", "2026-01-01T00:00:00.000Z"),
        ("0001-01-01T00:00:00+14:00", None),
        ("soon", None),
        ("", None),
    ],
)
def test_times_are_written_in_one_way(text: str, same: str | None) -> None:
    """In this form text compares as time; what is no time is None."""
    assert instant(text) == same
    assert timestamp(1_700_000_000) == "2023-11-14T22:13:20.000Z"
