"""Handler process: message attributes, between SQS's JSON and what handler functions get and give."""

from __future__ import annotations

import binascii
import math
import re
from collections.abc import Mapping

from worker.message import MessageAttribute

#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
_MOST = 10
_NAME = re.compile(r"(?!\.)(?!aws\.)(?!amazon\.)(?!.*\.\.)[A-Za-z0-9_.-]{1,256}(?<!\.)", re.IGNORECASE)
#: Digits that SQS keeps of a Number.
_DIGITS = 38


def decode(raw: Mapping[str, Mapping[str, str]]) -> dict[str, MessageAttribute]:
    """Message attributes out of SQS's JSON. Raises KeyError or ValueError where an endpoint sent something else."""
    return {name: _decode_one(value) for name, value in raw.items()}


def _decode_one(value: Mapping[str, str]) -> MessageAttribute:
    kind = value["DataType"]
    if kind.startswith("Binary"):
        return MessageAttribute(kind, binascii.a2b_base64(value["BinaryValue"], strict_mode=True))
    return MessageAttribute(kind, value["StringValue"])


def encode(attributes: Mapping[str, str | bytes | int | float | MessageAttribute]) -> dict[str, dict[str, str]]:
    """Message attributes as SQS's JSON wants them. Raises ValueError or TypeError for what SQS would refuse.

    It is refused here, in the handler function's own process and by its name, since in SQS one bad entry can fail a
    whole batch of other messages.
    """
    if len(attributes) > _MOST:
        raise ValueError(f"{len(attributes)} message attributes: SQS takes {_MOST}")
    return {_checked_name(name): _encode_one(name, value) for name, value in attributes.items()}


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"message attribute {name!r}: SQS takes letters, digits, '_', '-' and '.', and no AWS. in front"
        )
    return name


def _encode_one(name: str, value: object) -> dict[str, str]:
    if isinstance(value, MessageAttribute):
        return _encode_typed(name, value)
    if isinstance(value, bool):
        raise TypeError(f"message attribute {name!r} is a bool: SQS has String, Number and Binary")
    if isinstance(value, str):
        return _encode_typed(name, MessageAttribute("String", value))
    if isinstance(value, bytes):
        return _encode_typed(name, MessageAttribute("Binary", value))
    if isinstance(value, int | float):
        if not math.isfinite(value) or abs(value) >= 10**_DIGITS:
            raise ValueError(f"message attribute {name!r}: SQS has no number {value!r}")
        return _encode_typed(name, MessageAttribute("Number", repr(value)))
    raise TypeError(f"message attribute {name!r} is a {type(value).__name__}: SQS has String, Number and Binary")


def _encode_typed(name: str, attribute: MessageAttribute) -> dict[str, str]:
    value = attribute.value
    if not value:
        raise ValueError(f"message attribute {name!r} is empty: SQS takes none")
    kind = attribute.type.partition(".")[0]
    if isinstance(value, bytes) and kind == "Binary":
        return {"DataType": attribute.type, "BinaryValue": binascii.b2a_base64(value, newline=False).decode()}
    if isinstance(value, str) and kind in ("String", "Number"):
        return {"DataType": attribute.type, "StringValue": value}
    raise TypeError(f"message attribute {name!r}: {attribute.type!r} does not fit a {type(value).__name__}")
