"""SQS server process: message attributes: what is valid, their size, their MD5, and which of them a receive shows."""

import base64
import hashlib
import re
import struct
from collections.abc import Mapping
from typing import Any, Final

from worker.testing.sqs_server import limits
from worker.testing.sqs_server.errors import SqsError, invalid_parameter
from worker.testing.sqs_server.fields import mapping, text

#: Letters of any alphabet are accepted by AWS although the API reference names only A-Z (recorded on AWS).
_NAME: Final = re.compile(r"[\w.-]+", re.UNICODE)
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_RESERVED: Final = ("aws.", "amazon.")
_TYPES: Final = ("String", "Number", "Binary")
_CONTROLS: Final = bytes(set(range(32)) - {9, 10, 13})
_ALLOWED: Final = bytes(set(range(256)) - set(_CONTROLS))


def forbidden_character(value: str, raw: bytes) -> str:
    """The first character that SQS refuses in text (`raw` is its UTF-8), as `#x1`; empty where there is none.

    Allowed are #x9, #xA, #xD, #x20 to #xD7FF, #xE000 to #xFFFD, #x10000 to #x10FFFF (SendMessage).
    """
    controls = raw.translate(None, _ALLOWED)
    if controls:
        return f"#x{controls[0]:X}"
    if not value.isascii():
        for character in ("\ufffe", "\uffff"):
            if character in value:
                return f"#x{ord(character):X}"
    return ""


def _checked_name(name: str) -> None:
    if not name:
        raise invalid_parameter("The request must contain non-empty message (user) attribute names.")
    if len(name.encode()) > limits.ATTRIBUTE_NAME_BYTES:
        raise invalid_parameter("Message (user) attribute name must be shorter than 256 bytes.")
    if name.lower().startswith(_RESERVED):
        raise invalid_parameter(
            "You can't use message attribute names beginning with 'AWS.' or 'Amazon'."
            " These strings are reserved for internal use."
        )
    if not _NAME.fullmatch(name) or name.startswith(".") or name.endswith(".") or ".." in name:
        raise invalid_parameter(f"Invalid message (user) attribute name '{name}'.")


def _string_value(name: str, value: dict[str, Any], kind: str) -> str:
    content = text(value, "StringValue")
    if not content:
        raise invalid_parameter(f"Message (user) attribute '{name}' must contain a non-empty value of type 'String'.")
    if forbidden_character(content, content.encode()):
        raise invalid_parameter(f"Invalid characters in the value of message (user) attribute '{name}'.")
    if kind == "Number" and not _NUMBER.fullmatch(content):
        raise invalid_parameter(f"Can't cast the value of message (user) attribute '{name}' to a number.")
    return content


def _binary_value(name: str, value: dict[str, Any]) -> bytes:
    content = text(value, "BinaryValue")
    if not content:
        raise invalid_parameter(f"Message (user) attribute '{name}' must contain a non-empty value of type 'Binary'.")
    try:
        return base64.b64decode(content, validate=True)
    except ValueError:
        raise SqsError("SerializationException", "Invalid base64 in BinaryValue.") from None


def _checked(name: str, value: object) -> tuple[dict[str, str], bytes]:
    """One attribute as it is kept, and its value's bytes."""
    _checked_name(name)
    if not isinstance(value, dict) or not value:
        raise invalid_parameter(
            f"The message (user) attribute '{name}' must contain a non-empty message attribute value."
        )
    if value.get("StringListValues") or value.get("BinaryListValues"):
        raise SqsError(
            "UnsupportedOperation", "Message attribute list values in SendMessage operation are not supported."
        )
    kind = text(value, "DataType")
    if not kind:
        raise invalid_parameter(
            f"The message (user) attribute '{name}' must contain a non-empty message attribute type."
        )
    if len(kind.encode()) > limits.ATTRIBUTE_NAME_BYTES:
        raise invalid_parameter("Message (user) attribute type must be shorter than 256 bytes.")
    prefix = kind.partition(".")[0]
    if prefix not in _TYPES:
        raise invalid_parameter(
            f"The type of message (user) attribute '{name}' is invalid."
            " You must use only the following supported type prefixes: Binary, Number, String."
        )
    if prefix == "Binary":
        raw = _binary_value(name, value)
        return {"BinaryValue": value["BinaryValue"], "DataType": kind}, raw
    content = _string_value(name, value, prefix)
    return {"StringValue": content, "DataType": kind}, content.encode()


def read(fields: dict[str, Any]) -> tuple[dict[str, Any], str, int] | None:
    """MessageAttributes of a send: the attributes, their MD5, their bytes; None where there are none.

    Raises SqsError for names, types and values that SQS refuses. Names, types and values count as size (SendMessage).
    """
    given = mapping(fields, "MessageAttributes")
    if not given:
        return None
    if len(given) > limits.MESSAGE_ATTRIBUTES:
        raise invalid_parameter(f"Number of message attributes [{len(given)}] exceeds the allowed maximum [10].")
    kept: dict[str, Any] = {}
    size = 0
    for name, value in given.items():
        kept[name], raw = _checked(name, value)
        size += len(name.encode()) + len(kept[name]["DataType"].encode()) + len(raw)
    return kept, digest(kept), size


def read_trace_header(fields: dict[str, Any]) -> str | None:
    """MessageSystemAttributes of a send: AWSTraceHeader is the only one there is."""
    given = mapping(fields, "MessageSystemAttributes")
    for name in given:
        if name != "AWSTraceHeader":
            raise invalid_parameter(f"Message system attribute name '{name}' is invalid.")
    if not given:
        return None
    value = mapping(given, "AWSTraceHeader")
    if text(value, "DataType") != "String":
        raise invalid_parameter("The type of message system attribute 'AWSTraceHeader' must be String.")
    content = text(value, "StringValue")
    if not content:
        raise invalid_parameter("Message system attribute 'AWSTraceHeader' must contain a non-empty value.")
    return content


def digest(attributes: Mapping[str, Any]) -> str:
    """MD5 of attributes: name, type, kind of transport, value, each with its length, in the order of the names."""
    md5 = hashlib.md5(usedforsecurity=False)
    for name in sorted(attributes):
        value = attributes[name]
        for part in (name.encode(), value["DataType"].encode()):
            md5.update(struct.pack(">I", len(part)) + part)
        if "BinaryValue" in value:
            md5.update(b"\x02")
            content = base64.b64decode(value["BinaryValue"])
        else:
            md5.update(b"\x01")
            content = value["StringValue"].encode()
        md5.update(struct.pack(">I", len(content)) + content)
    return md5.hexdigest()


def trace_digest(trace_header: str) -> str:
    """MD5 of the message system attributes of a send."""
    return digest({"AWSTraceHeader": {"DataType": "String", "StringValue": trace_header}})


def select(
    attributes: dict[str, Any], names: tuple[str, ...], whole_md5: str | None
) -> tuple[dict[str, Any], str | None]:
    """The attributes asked for by MessageAttributeNames, and their MD5, which covers just these (recorded on AWS)."""
    if any(name in ("All", ".*", "*") for name in names):
        return attributes, whole_md5
    prefixes = tuple(name[:-2] for name in names if name.endswith(".*"))
    chosen = {name: value for name, value in attributes.items() if name in names or name.startswith(prefixes)}
    if len(chosen) == len(attributes):
        return attributes, whole_md5
    return chosen, digest(chosen) if chosen else None
