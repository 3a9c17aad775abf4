"""Test process: a Forward is sent as it stands or refused with its reason; see worker/handler/forwarding.py."""

from __future__ import annotations

from typing import Any

import pytest

from worker.handler.forwarding import forward_outcome
from worker.message import Forward, Kind
from worker.protocol import Outcome

MIB = 1024 * 1024


def test_every_field_of_a_forward_reaches_the_poller() -> None:
    """Queue, body, attributes, group, deduplication id and delay are in the outcome, in SQS's JSON shapes."""
    forward = Forward(queue="events", body="é", attributes={"n": 1}, group_id="g", deduplication_id="d", delay=900)
    assert forward_outcome(7, forward) == Outcome(
        7,
        Kind.FORWARD,
        queue="events",
        body="é".encode(),
        attributes={"n": {"DataType": "Number", "StringValue": "1"}},
        group_id="g",
        deduplication_id="d",
        delay=900,
    )


@pytest.mark.parametrize("body", ["\t\n\r ~\x7f", "\ud7ff\ue000\ufffd\U00010000\U0010ffff", b"{}", "x" * MIB])
def test_a_body_that_sqs_takes_is_taken(body: str | bytes) -> None:
    """The characters SQS allows pass, up to 1 MiB."""
    data = body if isinstance(body, bytes) else body.encode()
    assert forward_outcome(1, Forward(queue="q", body=body)).body == data


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"body": ""}, ValueError, "0 bytes"),
        ({"body": "x" * (MIB + 1)}, ValueError, "1048577 bytes"),
        ({"body": "a\0b"}, ValueError, "control characters"),
        ({"body": "\x1b[2J"}, ValueError, "control characters"),
        ({"body": "\ufffe"}, ValueError, "control characters"),
        ({"body": b"x\xef\xbf\xbf"}, ValueError, "control characters"),
        ({"body": "\ud800"}, UnicodeEncodeError, "surrogates"),
        ({"body": b"\xff"}, UnicodeDecodeError, "invalid start byte"),
        ({"body": {"order": 1}}, TypeError, "dict"),
        ({"queue": ""}, ValueError, "queue"),
        ({"queue": None}, ValueError, "queue"),
        ({"delay": 901}, ValueError, "delay"),
        ({"delay": -1}, ValueError, "delay"),
        ({"delay": 0.5}, ValueError, "delay"),
        ({"group_id": ""}, ValueError, "group_id"),
        ({"group_id": "two words"}, ValueError, "group_id"),
        ({"deduplication_id": "x" * 129}, ValueError, "deduplication_id"),
        ({"attributes": {"flag": True}}, TypeError, "flag"),
    ],
)
def test_what_sqs_would_refuse_for_ever_raises_with_its_reason(
    fields: dict[str, Any], error: type[Exception], words: str
) -> None:
    """A forward that can never be sent is an error of the handler function, told in its own process."""
    with pytest.raises(error, match=words):
        forward_outcome(1, Forward(**{"queue": "q", "body": "x", **fields}))
