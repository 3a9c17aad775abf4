"""Test process: events of SQS as Lambda gives them to a function, and its context."""

from __future__ import annotations

import base64
from typing import Any

ARN = "arn:aws:sqs:eu-west-1:123456789012:orders"


def record(number: int, body: str = "{}", *, group: str | None = None, arn: str = ARN, **fields: Any) -> dict[str, Any]:
    """One message; with a group, of a FIFO queue."""
    attributes = {"ApproximateReceiveCount": "2", "SentTimestamp": "1545082649183", "SenderId": "me"}
    if group is not None:
        arn = f"{ARN}.fifo"
        attributes |= {"MessageGroupId": group, "SequenceNumber": str(number)}
    return {
        "messageId": f"id-{number}",
        "receiptHandle": "secret receipt",
        "body": body,
        "attributes": attributes,
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": "eu-west-1",
    } | fields


def event(*records: dict[str, Any]) -> dict[str, Any]:
    return {"Records": list(records)}


def attribute(value: str | bytes, kind: str = "String") -> dict[str, Any]:
    """A message attribute, as Lambda writes it."""
    shown = {"dataType": kind, "stringListValues": [], "binaryListValues": []}
    if isinstance(value, bytes):
        return shown | {"binaryValue": base64.b64encode(value).decode()}
    return shown | {"stringValue": value}


class Context:
    """What Lambda passes beside the event."""

    aws_request_id = "request-1"

    def __init__(self, remaining: float = 30.0) -> None:
        self.remaining = remaining  #: seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self.remaining * 1000)


def failed(answer: dict[str, list[dict[str, str]]]) -> list[str]:
    """The ids of an answer."""
    assert answer.keys() == {"batchItemFailures"}
    return [item["itemIdentifier"] for item in answer["batchItemFailures"]]
