"""Test process: SNS notifications; see worker/envelopes/sns.py."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.envelopes.samples import TOPIC, notification
from worker import Message, MessageAttribute, Reject
from worker.envelopes import SNSNotification, sns


def message(body: Any) -> Message:
    return Message(id="m", body=json.dumps(body).encode(), queue="q")


def test_a_notification_has_its_fields() -> None:
    """Text, subject, topic, id, time and attributes, as they were published; the envelope itself stays reachable."""
    attributes = {
        "kind": {"Type": "String", "Value": "new"},
        "price": {"Type": "Number", "Value": "4.5"},
        "raw": {"Type": "Binary", "Value": "AP8="},
    }
    given = message(notification("héllo", Subject="An order", MessageAttributes=attributes, SequenceNumber="100"))
    found = sns(given)
    assert (found.text, found.body, found.subject, found.topic) == ("héllo", "héllo".encode(), "An order", TOPIC)
    assert (found.message_id, found.timestamp, found.sequence) == (
        "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "2026-05-02T00:54:06.655Z",
        "100",
    )
    assert found.attributes == {
        "kind": MessageAttribute("String", "new"),
        "price": MessageAttribute("Number", "4.5"),
        "raw": MessageAttribute("Binary", b"\x00\xff"),
    }
    assert found.original == given.body


def test_subject_and_attributes_may_be_missing() -> None:
    """Most notifications have neither."""
    found = sns(message(notification()))
    assert (found.subject, found.attributes, found.sequence) == (None, {}, None)


@pytest.mark.parametrize("source", [bytes, str, dict])
def test_it_is_read_from_bodies_and_decoded_json_too(source: type) -> None:
    """A Lambda, or a test, has no Message."""
    text = json.dumps(notification("x"))
    given: Any = {bytes: text.encode(), str: text, dict: json.loads(text)}[source]
    assert sns(given).text == "x"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            "{,}",
            "decode: $: the body is not JSON (unexpected character, expected a string key at character 1)",
        ),
        (b"\xff", "decode: $: the body is not JSON"),
        ('"\\ud800"', "decode: $: the body is not JSON"),
        ("[" * 100_000, "decode: $: the body is not JSON"),
        ("", "decode: $: the body is not JSON"),
        ("[1]", "decode: $: expected an object, got an array, so this is no SNS notification"),
        ("{}", "decode: $.Type: missing, so this is no SNS notification"),
        ({"Message": None}, "decode: $.Message: missing"),
        ({"Message": 7}, "decode: $.Message: expected a string, got a number"),
        ({"MessageId": ""}, "decode: $.MessageId: empty"),
        ({"TopicArn": True}, "decode: $.TopicArn: expected a string, got a boolean"),
        ({"Type": "SubscriptionConfirmation"}, "decode: $.Type: not Notification (the URL of a confirmation is never"),
        ({"MessageAttributes": [1]}, "decode: $.MessageAttributes: expected an object, got an array"),
        ({"MessageAttributes": {"a": 1}}, "decode: $.MessageAttributes.a: expected an object, got a number"),
        ({"MessageAttributes": {"a": {"Type": "Binary", "Value": "#"}}}, "decode: $.MessageAttributes.a.Value: not b"),
    ],
)
def test_what_is_no_notification_is_rejected(body: Any, reason: str) -> None:
    """By the field that is wrong, and without what stands in it."""
    given = json.dumps(notification(**body)) if isinstance(body, dict) else body
    with pytest.raises(Reject) as caught:
        sns(given)
    assert caught.value.reason.startswith(reason)
    assert caught.value.__cause__ is None  # it would hold the body, and go to the log with a traceback


def test_a_lone_surrogate_in_text_is_rejected() -> None:
    """Text that no queue could have held, as a runtime that decodes JSON softly may give it."""
    with pytest.raises(Reject, match="lone surrogate"):
        sns("\ud800")
    with pytest.raises(Reject, match="cannot be JSON"):
        sns(notification("\ud800"))


def test_what_it_shows_of_itself_holds_no_content() -> None:
    """It may be printed, and then stand in a log."""
    found = sns(message(notification("secret text", MessageAttributes={"k": {"Type": "String", "Value": "secret"}})))
    assert "secret" not in repr(found)
    assert isinstance(found, SNSNotification)
