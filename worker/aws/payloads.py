"""Poller process: SQS's JSON shapes to and from ours. Dicts end here."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

from worker.policy.delivery import Received
from worker.policy.requests import Outgoing

_COUNT = "ApproximateReceiveCount"


def received(message: Any) -> Received | None:
    """One entry of a receive's answer; None without a receipt or id, since then it cannot be owned.

    Everything else that is not as SQS has it reaches the handler, or counts as damaged: one strange message must not
    cost the others of its receive.
    """
    if not isinstance(message, dict):
        return None
    receipt, message_id = message.get("ReceiptHandle"), message.get("MessageId")
    if not (isinstance(receipt, str) and receipt and isinstance(message_id, str) and message_id):
        return None
    text, digest = message.get("Body"), message.get("MD5OfBody")
    # surrogatepass: an emulator may deliver what SQS refuses; the handler has to see it, we must not fall over it.
    body = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else b""
    # A body that is not there is damaged: a handler function would take it for an empty one, and return.
    intact = isinstance(text, str) and (not digest or hashlib.md5(body, usedforsecurity=False).hexdigest() == digest)
    own = message.get("MessageAttributes")
    return Received(message_id, receipt, body, _system(message.get("Attributes")), _texts(own) if own else {}, intact)


def _system(attributes: Any) -> dict[str, str]:
    """System attributes, of which the poller calculates with the count and orders by the group."""
    if not isinstance(attributes, dict):
        return {}
    count, group = attributes.get(_COUNT, "1"), attributes.get("MessageGroupId", "")
    if isinstance(group, str) and _is_count(count):
        return attributes
    return {
        name: text for name, text in attributes.items() if isinstance(text, str) and (name != _COUNT or _is_count(text))
    }


def _is_count(text: object) -> bool:
    """Whether it is a number; int() would refuse one of 5,000 digits."""
    return isinstance(text, str) and text.isdecimal() and len(text) < 10


def _texts(attributes: Any) -> dict[str, dict[str, str]]:
    """Message attributes with binary values as base64 text, as the wire has them; boto3 decodes them.

    One that is none is left without a type, which only its own handler function's process refuses.
    """
    if not isinstance(attributes, dict):
        return {"": {}}
    return {name: _text(attribute) if isinstance(attribute, dict) else {} for name, attribute in attributes.items()}


def _text(attribute: dict[str, Any]) -> dict[str, str]:
    return {
        key: base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
        for key, value in attribute.items()
        if value is not None and key in ("DataType", "StringValue", "BinaryValue")
    }


def sending(number: int, outgoing: Outgoing, *, binary: Callable[[str], str | bytes]) -> dict[str, Any]:
    """One entry of a SendMessageBatch; its id is its position: a message id twice would refuse the whole batch.

    `binary` makes of base64 text what the client takes: boto3 bytes, the wire that text.
    """
    entry: dict[str, Any] = {"Id": str(number), "MessageBody": outgoing.body.decode("utf-8", "surrogatepass")}
    if outgoing.attributes:
        entry["MessageAttributes"] = {
            name: {key: binary(text) if key == "BinaryValue" else text for key, text in attribute.items()}
            for name, attribute in outgoing.attributes.items()
        }
    if outgoing.group_id is not None:
        entry["MessageGroupId"] = outgoing.group_id
    if outgoing.deduplication_id is not None:
        entry["MessageDeduplicationId"] = outgoing.deduplication_id
    if outgoing.delay is not None:
        entry["DelaySeconds"] = outgoing.delay
    return entry
