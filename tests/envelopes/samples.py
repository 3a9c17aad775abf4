"""Test process: bodies as the services write them (moto and AWS's documentation), with our values."""

from __future__ import annotations

import json
from typing import Any

TOPIC = "arn:aws:sns:eu-west-1:123456789012:orders"
CERTIFICATE_URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-9c6465fa7f48f5cacd23014631ec1136.pem"


def notification(message: str = '{"order": 7}', **fields: Any) -> dict[str, Any]:
    """An SNS envelope; a field of None is left out."""
    whole = {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": TOPIC,
        "Message": message,
        "Timestamp": "2026-05-02T00:54:06.655Z",
        "SignatureVersion": "1",
        "Signature": "c2lnbmF0dXJl",
        "SigningCertURL": CERTIFICATE_URL,
        "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe",
    } | fields
    return {name: value for name, value in whole.items() if value is not None}


def s3_event(*keys: str, **stored: Any) -> dict[str, Any]:
    """An S3 event with a record for each key, written as S3 writes it."""
    return {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": "eu-west-1",
                "eventTime": "2026-05-02T00:54:06.655Z",
                "eventName": "ObjectCreated:Put",
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "bucket": {"name": "images", "arn": "arn:aws:s3:::images"},
                    "object": {"key": key, "size": 1024, "eTag": "d41d8c", "sequencer": "0055AED6DCD90281E5", **stored},
                },
            }
            for key in keys
        ]
    }


def bus_event(detail: Any = None, /, **fields: Any) -> dict[str, Any]:
    """An event of EventBridge."""
    return {
        "version": "0",
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "detail-type": "Order Placed",
        "source": "shop",
        "account": "123456789012",
        "time": "2026-05-02T00:54:06Z",
        "region": "eu-west-1",
        "resources": ["arn:aws:ec2:eu-west-1:123456789012:instance/i-1"],
        "detail": detail,
    } | fields


def cloud_event(**fields: Any) -> dict[str, Any]:
    """A CloudEvent in structured mode."""
    return {"specversion": "1.0", "id": "A-1", "source": "/shop", "type": "order.placed"} | fields


TEST_EVENT = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "images", "RequestId": "R"})
