"""Test process: EventBridge events; see worker/envelopes/eventbridge.py."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.envelopes.samples import bus_event
from worker import Reject
from worker.envelopes import eventbridge


def test_an_event_has_its_fields() -> None:
    """Type, source, id, time, detail and the rest; the body is the detail alone."""
    body = json.dumps(bus_event({"order": 7}))
    found = eventbridge(body)
    assert (found.detail_type, found.source, found.id) == (
        "Order Placed",
        "shop",
        "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
    )
    assert (found.time, found.account, found.region) == ("2026-05-02T00:54:06Z", "123456789012", "eu-west-1")
    assert found.resources == ("arn:aws:ec2:eu-west-1:123456789012:instance/i-1",)
    assert (found.detail, found.body, found.original) == ({"order": 7}, b'{"order":7}', body.encode())
    assert '"order"' not in repr(found)
    assert "'order'" not in repr(found)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"detail-type": None}, "decode: $.detail-type: missing, so this is no EventBridge event"),
        ({"detail": "text"}, "decode: $.detail: expected an object, got a string"),
        ({"resources": [7]}, "decode: $.resources: expected strings"),
        ({"resources": {}}, "decode: $.resources: expected an array, got an object"),
        ({"id": 7}, "decode: $.id: expected a string, got a number"),
    ],
)
def test_what_is_no_event_is_rejected(fields: dict[str, Any], reason: str) -> None:
    """By the field that is wrong."""
    with pytest.raises(Reject) as caught:
        eventbridge(bus_event({}, **fields))
    assert caught.value.reason.startswith(reason)
