"""Poller process: SQS's JSON shapes to and from ours. Dicts end here."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from worker.policy.delivery import Received
from worker.policy.requests import Outgoing


def received(message: dict[str, Any]) -> Received | None:
    """One entry of a receive's answer; None without a receipt or id, since then it cannot be owned."""
    receipt, message_id = message.get("ReceiptHandle"), message.get("MessageId")
    if not receipt or not message_id:
        return None
    # surrogatepass: an emulator may deliver what SQS refuses; the handler has to see it, we must not fall over it.
    body = (message.get("Body") or "").encode("utf-8", "surrogatepass")
    digest = message.get("MD5OfBody")
    intact = not digest or hashlib.md5(body, usedforsecurity=False).hexdigest() == digest
    attributes = message.get("Attributes") or {}
    own = message.get("MessageAttributes")
    return Received(message_id, receipt, body, attributes, _texts(own) if own else {}, intact)


def _texts(attributes: dict[str, dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Message attributes with binary values as base64 text, as the wire has them; boto3 decodes them."""
    return {
        name: {
            key: base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
            for key, value in attribute.items()
            if key in ("DataType", "StringValue", "BinaryValue")
        }
        for name, attribute in attributes.items()
    }


def sending(number: int, outgoing: Outgoing) -> dict[str, Any]:
    """One entry of a SendMessageBatch; its id is its position: a message id twice would refuse the whole batch."""
    entry: dict[str, Any] = {"Id": str(number), "MessageBody": outgoing.body.decode("utf-8", "surrogatepass")}
    if outgoing.attributes:
        entry["MessageAttributes"] = {
            name: {key: base64.b64decode(text) if key == "BinaryValue" else text for key, text in attribute.items()}
            for name, attribute in outgoing.attributes.items()
        }
    if outgoing.group_id is not None:
        entry["MessageGroupId"] = outgoing.group_id
    if outgoing.deduplication_id is not None:
        entry["MessageDeduplicationId"] = outgoing.deduplication_id
    if outgoing.delay is not None:
        entry["DelaySeconds"] = outgoing.delay
    return entry
