"""Handler process: message attributes, between SQS's JSON and what handler functions get and give."""

from __future__ import annotations

import binascii
from collections.abc import Mapping

from worker.message import MessageAttribute
from worker.outgoing import encode

__all__ = ["decode", "encode"]


def decode(raw: Mapping[str, Mapping[str, str]]) -> dict[str, MessageAttribute]:
    """Message attributes out of SQS's JSON. Raises KeyError or ValueError where an endpoint sent something else."""
    return {name: _decode_one(value) for name, value in raw.items()}


def _decode_one(value: Mapping[str, str]) -> MessageAttribute:
    kind = value["DataType"]
    if kind.startswith("Binary"):
        return MessageAttribute(kind, binascii.a2b_base64(value["BinaryValue"], strict_mode=True))
    return MessageAttribute(kind, value["StringValue"])
