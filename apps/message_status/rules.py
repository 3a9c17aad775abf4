"""Handler process: what a delivery status becomes; pure: text in, text out, time is an argument.

Every value passes through unchanged, so its *text* is copied where decoding could change it: floats lose digits,
integers above 64 bits become floats, U+FFFE written as an escape becomes a character that SQS refuses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NoReturn

import orjson

#: Fields of a delivery status, and what an event calls them. All are required; null is a value.
FIELDS = {
    "snsMessageId": "messageId",
    "deliveryStatus": "status",
    "providerResponse": "response",
    "timestamp": "timestamp",
}
#: Types whose values orjson reads and writes unchanged; a number above 64 bits would arrive as a float.
_EXACT = {str, int, bool, type(None)}
#: How U+FFFE and U+FFFF begin in UTF-8, which SQS refuses in a body (and a few characters that only look so).
_NONCHARACTERS = b"\xef\xbf"
#: What SQS takes as a MessageGroupId.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
_GROUP = re.compile(r"[!-~]{1,128}")


class BadStatus(ValueError):
    """The message is no delivery status; the text says why, without any of its content."""


def event(body: bytes, *, source_queue: str, processed_at: float) -> bytes:
    """The event of a delivery status, both as JSON; `processed_at` in seconds since 1970. Raises BadStatus."""
    about = {"sourceQueue": source_queue, "processedAt": _timestamp(processed_at)}
    try:
        status = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _copied(body, about)  # valid JSON beyond orjson's limits, or an error that says where it is
    if not isinstance(status, dict):
        raise BadStatus(f"the body is a JSON {_name(status)}, not an object")
    _demand(status)
    values = [status[name] for name in FIELDS]
    if not _EXACT.issuperset(map(type, values)):
        return _copied(body, about)
    text = orjson.dumps(dict(zip(FIELDS.values(), values, strict=True)) | about)
    return _copied(body, about) if _NONCHARACTERS in text else text


def group(body: bytes) -> str | None:
    """The SNS message id, if it can be a MessageGroupId: the order of a FIFO queue of events is per SNS message."""
    try:
        value = orjson.loads(body)["snsMessageId"]
    except (ValueError, KeyError, TypeError):
        return None
    return value if isinstance(value, str) and _GROUP.fullmatch(value) else None


def _copied(body: bytes, about: dict[str, str]) -> bytes:
    """The event with the very text of each value."""
    try:
        texts = dict(_members(body.decode()))
    except UnicodeDecodeError as error:
        raise BadStatus(f"the body is not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise BadStatus(f"the body is not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise BadStatus("the body is nested too deeply") from None
    _demand(texts)
    parts = [f'"{new}":{texts[old]}' for old, new in FIELDS.items()]
    return f"{{{','.join(parts)},{orjson.dumps(about).decode()[1:]}".encode()


def _members(text: str) -> Iterator[tuple[str, str]]:
    """The name and the text of each value of a JSON object. Raises json.JSONDecodeError."""
    at = _after("{", text, _skip(text, 0))
    more = not text.startswith("}", at)
    while more:
        _after('"', text, at)
        name, at = _decode(text, at)
        start = _after(":", text, _skip(text, at))
        _, at = _decode(text, start)
        yield name, text[start:at]
        at = _skip(text, at)
        more = not text.startswith("}", at)
        if more:
            at = _after(",", text, at)
    at = _skip(text, at + 1)
    if at != len(text):
        raise json.JSONDecodeError("Extra data", text, at)


def _refuse(constant: str) -> NoReturn:
    raise BadStatus(f"the body is not JSON: it holds {constant}")


#: Numbers stay text: they are not looked at, and Python refuses to convert integers of more than 4,300 digits.
_decode = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_refuse).raw_decode
_SPACE = re.compile(r"[ \t\n\r]*")


def _skip(text: str, at: int) -> int:
    """The position after white space."""
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _after(mark: str, text: str, at: int) -> int:
    """The position after `mark` and white space. Raises json.JSONDecodeError if it is not there."""
    if not text.startswith(mark, at):
        raise json.JSONDecodeError(f"Expecting {mark!r}", text, at)
    return _skip(text, at + 1)


def _demand(status: dict[str, Any]) -> None:
    missing = [name for name in FIELDS if name not in status]
    if missing:
        raise BadStatus(f"missing {'field' if len(missing) == 1 else 'fields'}: {', '.join(missing)}")


def _name(value: object) -> str:
    names = {list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


def _timestamp(seconds: float) -> str:
    """ISO 8601, UTC, with milliseconds and Z."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
