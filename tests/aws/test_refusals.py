"""Error answers: our reading of them against botocore's, to the letter."""

from __future__ import annotations

import json
from email.utils import formatdate
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError
from botocore.parsers import create_parser
from hypothesis import given
from hypothesis import strategies as st

from tests.hostile.test_corpus_calls import BROKEN
from worker.aws.answers import Reply
from worker.aws.errors import failure_of
from worker.aws.refusals import Garbled, parsed, refusal
from worker.policy.failures import Failure, FailureKind

PARSER = create_parser("json")
SHAPES = botocore.session.get_session().get_service_model("sqs").error_shapes
NAMES = st.one_of(
    st.sampled_from([shape.name for shape in SHAPES]),
    st.sampled_from(["ExpiredToken", "InvalidSignatureException", "AccessDenied", "Throttling", "x:y", "a#b#c", ""]),
    st.text(max_size=12),
)
TYPES = st.one_of(st.none(), NAMES, NAMES.map("com.amazonaws.sqs#{}".format))
TEXTS = st.one_of(
    st.none(), st.text(max_size=60), st.just("Signature expired: x is now earlier than y"), st.integers(-(2**60), 2**60)
)
QUERY = st.one_of(
    st.none(), st.sampled_from(["AWS.SimpleQueueService.NonExistentQueue;Sender", ";Sender", "a;b;c", "a;", "plain"])
)


def botocores(reply: Reply) -> Failure:
    """What errors.py makes of what botocore makes of it."""
    said = {"status_code": reply.status, "headers": reply.headers, "body": reply.body}
    return failure_of(ClientError(PARSER.parse(said, None), "ReceiveMessage"))


@given(st.sampled_from([301, 400, 403, 404, 413, 429, 500, 503, 599]), TYPES, TEXTS, st.booleans(), QUERY)
def test_an_error_of_sqs_is_the_same_failure(
    status: int, type_: str | None, text: Any, capital: bool, query: str | None
) -> None:
    """Kind, code and text, of shapes known and unknown, with the older code in a header or without."""
    body = {"__type": type_, ("Message" if capital else "message"): text}
    headers = {"date": formatdate(usegmt=True)} | ({"x-amzn-query-error": query} if query is not None else {})
    said = json.dumps({name: value for name, value in body.items() if value is not None}).encode()
    reply = Reply(status, headers, said, reusable=True)
    assert refusal(reply) == botocores(reply)


@pytest.mark.parametrize("status", [400, 500, 503, 599])
@pytest.mark.parametrize("body", [b"", b"  ", b"<html>busy</html>", b"busy", b'{"a": 1}'])
def test_what_a_proxy_says_is_the_same_failure(status: int, body: bytes) -> None:
    reply = Reply(status, {}, body, reusable=True)
    assert refusal(reply) == botocores(reply)


@pytest.mark.parametrize("said", [one for one in BROKEN if one.status > 300], ids=lambda said: repr(said.body[:30]))
def test_nothing_raises(said: Any) -> None:
    """botocore's parser raises for some of these."""
    assert isinstance(refusal(Reply(said.status, {}, said.body, reusable=True)), Failure)


def test_a_clock_that_is_wrong_is_measured() -> None:
    """By the Date of the answer."""
    body = json.dumps({"__type": "InvalidSignatureException", "message": "Signature expired: x"}).encode()
    failure = refusal(Reply(403, {"date": formatdate(0, usegmt=True)}, body, reusable=True))
    assert failure.kind is FailureKind.CLOCK
    assert "s ahead of that of AWS" in failure.text


@pytest.mark.parametrize("body", [b"", b"<html>", b"null", b"[]", b"5", b'"x"', b"[" * 200_000, b"\xff", b"9" * 5000])
def test_what_is_no_object_is_garbled(body: bytes) -> None:
    with pytest.raises(Garbled):
        parsed(body)


def test_a_lone_surrogate_does_not_cost_the_others() -> None:
    """SQS refuses it, an emulator may not."""
    assert parsed(b'{"Messages": [{"Body": "\\ud800"}]}') == {"Messages": [{"Body": "\ud800"}]}
