"""Shapes of SQS to ours, as each client has them."""

from __future__ import annotations

from typing import Any

import pytest

from worker.aws.payloads import received


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ({"DataType": "Binary", "BinaryValue": "AP8="}, {"DataType": "Binary", "BinaryValue": "AP8="}),
        ({"DataType": "Binary", "BinaryValue": b"\x00\xff"}, {"DataType": "Binary", "BinaryValue": "AP8="}),
        ({"DataType": None, "StringValue": "x"}, {"StringValue": "x"}),
        (
            {"DataType": "String", "StringValue": "x", "StringListValues": []},
            {"DataType": "String", "StringValue": "x"},
        ),
        (None, {}),
    ],
    ids=["base64 of the wire", "bytes of boto3", "null", "members of no use", "no attribute"],
)
def test_an_attribute_is_text(attribute: Any, expected: dict[str, str]) -> None:
    """The wire has base64 and null where boto3 has bytes and nothing."""
    message = received({"MessageId": "m", "ReceiptHandle": "r", "Body": "b", "MessageAttributes": {"a": attribute}})
    assert message is not None
    assert message.message_attributes == {"a": expected}
