"""Test process: CloudEvents; see worker/envelopes/cloudevents.py."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.envelopes.samples import cloud_event
from worker import Message, MessageAttribute, Reject
from worker.envelopes import cloudevent


def test_a_structured_event_has_its_fields() -> None:
    """The attributes of the specification by name, the others as extensions."""
    body = json.dumps(
        cloud_event(subject="7", time="2026-05-02T00:54:06Z", dataschema="http://s", data={"order": 7}, tenant="a")
    )
    found = cloudevent(body)
    assert (found.id, found.source, found.type) == ("A-1", "/shop", "order.placed")
    assert (found.subject, found.time, found.content_type, found.schema) == (
        "7",
        "2026-05-02T00:54:06Z",
        None,
        "http://s",
    )
    assert (found.extensions, found.body, found.original) == ({"tenant": "a"}, b'{"order":7}', body.encode())


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ({"data": "text"}, b'"text"'),
        ({"data": "text", "datacontenttype": "application/vnd.x+json; charset=utf-8"}, b'"text"'),
        ({"data": "<a/>", "datacontenttype": "text/xml"}, b"<a/>"),
        ({"data": {"a": 1}, "datacontenttype": "text/xml"}, b'{"a":1}'),
        ({"data": None}, b"null"),
        ({"data_base64": "AP8="}, b"\x00\xff"),
        ({}, b""),
    ],
)
def test_the_payload_is_what_would_be_sent_alone(fields: dict[str, Any], body: bytes) -> None:
    """Text of another type than JSON as it is, bytes decoded, nothing where there is no data."""
    assert cloudevent(cloud_event(**fields)).body == body


@pytest.mark.parametrize("prefix", ["ce-", "ce_", "CE-"])
def test_attributes_beside_the_body_are_an_event_too(prefix: str) -> None:
    """Binary mode: the body is the payload."""
    names = cloud_event(tenant="a", datacontenttype="text/plain")
    attributes = {f"{prefix}{name}": MessageAttribute("String", value) for name, value in names.items()}
    found = cloudevent(Message(id="m", body=b"\xffany", queue="q", message_attributes=attributes))
    assert (found.id, found.type, found.content_type, found.extensions) == (
        "A-1",
        "order.placed",
        "text/plain",
        {"tenant": "a"},
    )
    assert found.body == b"\xffany"


def test_the_content_type_may_be_an_attribute_of_its_own() -> None:
    """As in HTTP, where it has no prefix."""
    attributes = {f"ce-{name}": MessageAttribute("String", value) for name, value in cloud_event().items()}
    attributes["content-type"] = MessageAttribute("String", "text/csv")
    assert cloudevent(Message(id="m", body=b"1", queue="q", message_attributes=attributes)).content_type == "text/csv"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"specversion": "0.3"}, "decode: $.specversion: not 1.0, so this is no CloudEvent"),
        ({"specversion": 1}, "decode: $.specversion: expected a string, got a number"),
        ({"type": None}, "decode: $.type: missing"),
        ({"data": 1, "data_base64": ""}, "decode: $.data_base64: beside data"),
        ({"data_base64": "#"}, "decode: $.data_base64: not base64"),
    ],
)
def test_what_is_no_event_is_rejected(fields: dict[str, Any], reason: str) -> None:
    """By the field that is wrong."""
    with pytest.raises(Reject) as caught:
        cloudevent(cloud_event(**fields))
    assert caught.value.reason.startswith(reason)


@pytest.mark.parametrize("fields", [{"data": 10**30}, {"data": "\ud800", "datacontenttype": "text/plain"}])
def test_what_no_message_could_have_held_is_rejected(fields: dict[str, Any]) -> None:
    """As a JSON decoder that knows larger numbers, or decodes softly, may give it."""
    with pytest.raises(Reject, match="cannot be JSON"):
        cloudevent(cloud_event(**fields))


def test_binary_attributes_that_are_none_are_rejected() -> None:
    """Bytes, or an attribute missing; the path says where it was looked for."""
    attributes = {
        "ce-specversion": MessageAttribute("String", "1.0"),
        "ce-id": MessageAttribute("Binary", b"1"),
    }
    with pytest.raises(Reject, match=r"decode: \$\.message_attributes\.id: expected a string"):
        cloudevent(Message(id="m", body=b"", queue="q", message_attributes=attributes))
