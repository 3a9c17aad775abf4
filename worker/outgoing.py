"""Every process: what SQS takes as a message to send. What it would refuse for ever is refused here, by its name.

In SQS one bad entry can fail a whole batch of other messages. `who` is what the caller wrote, for the error's text.
"""

from __future__ import annotations

import binascii
import math
import re
from collections.abc import Mapping

from worker.message import MessageAttribute

#: Bytes of a message: its body and its attributes' names, types and values.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
LONGEST = 1024 * 1024
#: Seconds of DelaySeconds. https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
_LONGEST_DELAY = 900
#: Group and deduplication ids (the same page).
_ID = re.compile(r"[!-~]{1,128}")
#: What SQS refuses in a body (InvalidMessageContents): these bytes of UTF-8, and the noncharacters U+FFFE and U+FFFF.
_CONTROL = bytes(byte for byte in range(0x20) if byte not in b"\t\n\r")
_FFFE, _FFFF = b"\xef\xbf\xbe", b"\xef\xbf\xbf"
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
_MOST_ATTRIBUTES = 10
_NAME = re.compile(r"(?!\.)(?!aws\.)(?!amazon\.)(?!.*\.\.)[A-Za-z0-9_.-]{1,256}(?<!\.)", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_LONGEST_TYPE = 256  #: bytes
#: Digits that SQS keeps of a Number.
_DIGITS = 38

#: Message attributes as SQS's JSON has them: by name, DataType with StringValue or BinaryValue (base64).
Encoded = dict[str, dict[str, str]]
Attributes = Mapping[str, str | bytes | int | float | MessageAttribute]


def checked_body(who: str, body: object) -> bytes:
    """The body as UTF-8. Raises ValueError, or TypeError for what is neither text nor bytes."""
    if isinstance(body, str):
        data = body.encode()
    elif isinstance(body, bytes):
        data = body
        data.decode()  # a body is text in SQS: raise here, where the sender's name is known
    else:
        raise TypeError(f"{who}(body=...) is a {type(body).__name__}: text or bytes are needed")
    if not 0 < len(data) <= LONGEST:
        raise ValueError(f"{who}(body=...) has {len(data)} bytes: SQS takes 1 to {LONGEST}")
    if _forbidden(data):
        raise ValueError(f"{who}(body=...) has control characters that SQS refuses")
    return data


def checked_id(who: str, name: str, value: object) -> str | None:
    """A group or deduplication id, or None. Raises ValueError."""
    if value is None:
        return None
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    raise ValueError(f"{who}({name}={value!r}): SQS takes 1 to 128 ASCII letters, digits and punctuation marks")


def checked_delay(who: str, delay: object) -> int | None:
    """Whole seconds, or None. Raises ValueError."""
    if delay is None or (isinstance(delay, int) and not isinstance(delay, bool) and 0 <= delay <= _LONGEST_DELAY):
        return delay
    raise ValueError(f"{who}(delay={delay!r}): SQS delays by 0 to {_LONGEST_DELAY} whole seconds")


def size(body: bytes, attributes: Encoded | None) -> int:
    """Bytes of a message as SQS counts them."""
    total = len(body)
    for name, attribute in (attributes or {}).items():
        total += len(name) + len(attribute["DataType"].encode())
        if "BinaryValue" in attribute:
            text = attribute["BinaryValue"]
            total += len(text) // 4 * 3 - text[-2:].count("=")
        else:
            total += len(attribute["StringValue"].encode())
    return total


def encode(attributes: Attributes) -> Encoded:
    """Message attributes as SQS's JSON wants them. Raises ValueError or TypeError for what SQS would refuse."""
    if len(attributes) > _MOST_ATTRIBUTES:
        raise ValueError(f"{len(attributes)} message attributes: SQS takes {_MOST_ATTRIBUTES}")
    return {_checked_name(name): _encode_one(name, value) for name, value in attributes.items()}


def _forbidden(data: bytes) -> bool:
    return len(data.translate(None, _CONTROL)) != len(data) or _FFFE in data or _FFFF in data


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
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
    kind, value = attribute.type.partition(".")[0], attribute.value
    if not value:
        raise ValueError(f"message attribute {name!r} is empty: SQS takes none")
    if len(attribute.type.encode()) > _LONGEST_TYPE:
        raise ValueError(f"message attribute {name!r}: SQS takes a type of up to {_LONGEST_TYPE} bytes")
    if isinstance(value, bytes) and kind == "Binary":
        return {"DataType": attribute.type, "BinaryValue": binascii.b2a_base64(value, newline=False).decode()}
    if not isinstance(value, str) or kind not in ("String", "Number"):
        raise TypeError(f"message attribute {name!r}: {attribute.type!r} does not fit a {type(value).__name__}")
    if _forbidden(value.encode()):
        raise ValueError(f"message attribute {name!r} has control characters that SQS refuses")
    if kind == "Number" and not _NUMBER.fullmatch(value):
        raise ValueError(f"message attribute {name!r}: SQS takes no such text as a number")
    return {"DataType": attribute.type, "StringValue": value}
