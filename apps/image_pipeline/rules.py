"""Handler process: what an uploaded object becomes, and what a request is; pure: records and text in, text out.

A *request* is the body of a message in SQS_QUEUE_URL: it asks for the processing of one version of one image.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from worker.envelopes import S3Record

#: By the extension in lower case: cameras write .JPG.
FILE_TYPES = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "gif": "image/gif"}
OTHER_TYPE = "application/octet-stream"
#: An S3 key has at most so many bytes, so no id that comes from one is longer. It is also what DynamoDB takes as a sort
#: key. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
LONGEST_ID = 1024
#: What SQS refuses in a message attribute; S3 takes it in a key.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
_UNSENDABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
#: https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
LONGEST_NAME = 80
_NAMELESS = re.compile(r"[^A-Za-z0-9_-]")
_PREFIX = "image-processing-"
#: Characters of the hash at the end of an execution's name.
_HASH = 16
_REQUIRED = ("imageId", "userId", "bucketName", "s3Key", "objectVersion", "uploadTimestamp")


class BadUpload(ValueError):
    """The object that a record tells of is no uploaded image; the text says why."""


class BadRequest(ValueError):
    """The body is no request; the text says why, without any of its content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageKey:
    """What `uploads/{userId}/{imageId}.{ext}` says."""

    user_id: str
    image_id: str
    extension: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the orchestrator needs of a request."""

    image_id: str
    user_id: str
    bucket: str
    key: str
    version: str  #: of the object
    uploaded: str  #: ISO 8601, UTC, with milliseconds and Z, so that text compares as time


def image_key(key: str) -> ImageKey:
    """The parts of an object's key, which is decoded already. Raises BadUpload."""
    wrong = f"key {key!r} is not uploads/{{userId}}/{{imageId}}.{{ext}}"
    segments = key.split("/")
    if len(segments) != 3:
        raise BadUpload(f"{wrong}: segments are {len(segments)} and not 3")
    top, user_id, file_name = segments
    if top != "uploads":
        raise BadUpload(f"{wrong}: it begins otherwise")
    image_id, dot, extension = file_name.rpartition(".")
    for part, name in ((user_id, "user id"), (dot, "dot"), (image_id, "image id"), (extension, "extension")):
        if not part:
            raise BadUpload(f"{wrong}: it has no {name}")
    if found := _UNSENDABLE.search(key):
        raise BadUpload(f"key {key!r} has the character U+{ord(found[0]):04X}, which SQS takes in no attribute")
    return ImageKey(user_id=user_id, image_id=image_id, extension=extension)


def request_of(record: S3Record, metadata: Mapping[str, str] | None) -> tuple[str, dict[str, str]]:
    """The body and the attributes of the request for an object; `metadata` None: unknown. Raises BadUpload."""
    parts = image_key(record.key)
    # A removal has neither image nor size, and nothing that comes later should look for them.
    if not record.event_name.removeprefix("s3:").startswith("ObjectCreated:"):
        raise BadUpload(f"key {record.key!r}: {record.event_name!r} is no upload")
    version = record.version_id or record.sequencer
    if not version:
        raise BadUpload(f"key {record.key!r}: the record has neither versionId nor sequencer, so no version is known")
    if record.size is None:
        raise BadUpload(f"key {record.key!r}: the record has no size")
    body: dict[str, Any] = {
        "imageId": parts.image_id,
        "userId": parts.user_id,
        "s3Key": record.key,
        "fileName": f"{parts.image_id}.{parts.extension}",
        "fileSize": record.size,
        "fileType": FILE_TYPES.get(parts.extension.lower(), OTHER_TYPE),
        "uploadTimestamp": record.event_time,
        "bucketName": record.bucket,
        "objectVersion": version,
    }
    if metadata is not None:
        body["metadata"] = dict(metadata)
    attributes = {
        "imageId": parts.image_id,
        "userId": parts.user_id,
        "priority": "normal",
        "processingType": "standard",
    }
    # ASCII, with escapes: a key may hold what SQS refuses in a body.
    return json.dumps(body), attributes


def read_request(body: bytes) -> Request:
    """The request in a body. Raises BadRequest."""
    fields = _object(body)
    for name in _REQUIRED:
        value = fields.get(name)
        if not isinstance(value, str) or not value:
            raise BadRequest(f"{name} is {'missing' if value is None else 'not a text, or empty'}")
    for name in ("imageId", "userId"):
        if len(fields[name].encode()) > LONGEST_ID:
            raise BadRequest(f"{name} has more than {LONGEST_ID} bytes, the most that an S3 key has")
    uploaded = instant(fields["uploadTimestamp"])
    if uploaded is None:
        raise BadRequest("uploadTimestamp is no time in ISO 8601")
    return Request(
        image_id=fields["imageId"],
        user_id=fields["userId"],
        bucket=fields["bucketName"],
        key=fields["s3Key"],
        version=fields["objectVersion"],
        uploaded=uploaded,
    )


def execution_name(request: Request) -> str:
    """The same for every delivery of a version of an object, and another for any other.

    At most 80 of `[A-Za-z0-9-_]`. Where the image id had to be cut or changed, the hash still tells names apart.
    """
    exact = json.dumps([request.bucket, request.key, request.version]).encode()
    end = f"-{hashlib.sha256(exact).hexdigest()[:_HASH]}"
    room = LONGEST_NAME - len(_PREFIX) - len(end)
    return f"{_PREFIX}{_NAMELESS.sub('_', request.image_id)[:room]}{end}"


def execution_arn(state_machine_arn: str, name: str) -> str:
    """The ARN of an execution of a standard state machine.

    `arn:aws:states:REGION:ACCOUNT:stateMachine:MACHINE` may have a version or an alias behind it; an execution's has
    `execution` and its name in their places. Raises ValueError for what is no such ARN.
    """
    parts = state_machine_arn.split(":")
    if parts[:1] != ["arn"] or parts[2:3] != ["states"] or parts[5:6] != ["stateMachine"] or len(parts) < 7:
        raise ValueError(f"{state_machine_arn!r} is no ARN of a state machine")
    return ":".join((*parts[:5], "execution", parts[6], name))


def instant(text: str) -> str | None:
    """A time of ISO 8601 in UTC, with milliseconds and Z; None if it is no time. Without a zone it is UTC."""
    try:
        found = datetime.fromisoformat(text)
        return _stamp(found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC))
    except (ValueError, OverflowError):
        return None


def timestamp(seconds: float) -> str:
    """Seconds since 1970 in the same form."""
    return _stamp(datetime.fromtimestamp(seconds, UTC))


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _object(body: bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error.msg} at character {error.pos}") from None
    if not isinstance(fields, dict):
        raise BadRequest("the body is JSON, but no object")
    return fields
