"""Handler process: what is said of a message that came to the dead-letter queue; pure: text in, text out."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, TypeGuard

import orjson

from apps.image_pipeline.rules import LONGEST_ID, instant

#: `errorInfo.reason` of every dead letter, and how every alert's `error` begins.
REASON = "Message moved to DLQ"
#: SNS takes up to 100 characters of ASCII, and its documentation says fewer than 100.
#: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
_LONGEST_SUBJECT = 99
_SUBJECT = "Image Processing Failed - "
_UNPRINTABLE = re.compile(r"[^ -~]")
#: Bytes of what SNS publishes (the same page), less some room for the subject. A body in SQS may be four times as long.
_LONGEST_MESSAGE = 256 * 1024 - 1024
_CUT = " [... cut by the alert]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What a dead letter tells of its image."""

    image_id: str
    user_id: str
    version: str | None = None  #: objectVersion, if it has one
    uploaded: str | None = None  #: uploadTimestamp, as rules.instant() writes it


def read_letter(body: bytes) -> Letter | None:
    """The image of a dead letter; None where the body names none: no request, broken JSON, an S3 event.

    It asks for less than rules.read_request(): a request that is broken elsewhere still names its image.
    """
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(fields, dict):
        return None
    image_id, user_id = fields.get("imageId"), fields.get("userId")
    if not _is_id(image_id) or not _is_id(user_id):
        return None
    version, uploaded = fields.get("objectVersion"), fields.get("uploadTimestamp")
    return Letter(
        image_id=image_id,
        user_id=user_id,
        version=version if isinstance(version, str) and version else None,
        uploaded=instant(uploaded) if isinstance(uploaded, str) else None,
    )


def error_info(*, at: str, receive_count: int, crash: str | None) -> dict[str, Any]:
    """`errorInfo` of the image's row; `crash` is the attribute of a message that killed its handler processes."""
    known = {"reason": REASON, "timestamp": at, "receiveCount": receive_count}
    return known if crash is None else known | {"crash": crash}


def alert(letter: Letter | None, *, body: bytes, at: str, crash: str | None) -> tuple[str, str]:
    """Subject and Message for SNS. The message is ASCII; a body that makes it too long is cut, and says so."""
    error = REASON
    if letter is None:
        error += ": its body names no image, so no row was marked, and it is nowhere but here"
    if crash is not None:
        error += f": it killed the handler processes that ran it: {crash}"
    image_id = "unknown" if letter is None else _UNPRINTABLE.sub("?", letter.image_id)
    message = {
        "imageId": None if letter is None else letter.image_id,
        "userId": None if letter is None else letter.user_id,
        "error": error,
        "timestamp": at,
        "messageBody": "",
    }
    message["messageBody"] = _fitting(body.decode(errors="replace"), _LONGEST_MESSAGE - len(json.dumps(message)))
    return f"{_SUBJECT}{image_id}"[:_LONGEST_SUBJECT].rstrip(), json.dumps(message)


def _fitting(text: str, room: int) -> str:
    """The text, or as much of its beginning as JSON writes in `room` characters."""
    if len(json.dumps(text)) - 2 <= room:
        return text
    room -= len(_CUT)
    escaped = 0
    for place, sign in enumerate(text):
        escaped += len(json.dumps(sign)) - 2
        if escaped > room:
            return text[:place] + _CUT
    return text


def _is_id(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value.encode()) <= LONGEST_ID
