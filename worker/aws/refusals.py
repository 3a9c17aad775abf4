"""Poller process: what SQS answered with an error status, as a Failure: the same as boto3 and errors.py make of it."""

from __future__ import annotations

import http
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import orjson

from worker.aws.answers import Reply
from worker.aws.errors import clean, skew
from worker.policy.failures import Failure, FailureKind, classify

#: Statuses from here on are errors; those below brought what was asked for.
FIRST_ERROR = 301
_FIRST_FAULT = 500


class Garbled(Exception):
    """An answer that is not as SQS has it; `str()` says how."""


def parsed(body: bytes) -> dict[str, Any]:
    """The object in a body. Raises Garbled."""
    try:
        found = orjson.loads(body)
    except ValueError:
        try:
            # An emulator may send what SQS would refuse, a lone surrogate; it must not cost the others of its receive.
            found = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Garbled(f"an answer that is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise Garbled(f"an answer that is not a JSON object but {type(found).__name__}")
    return found


def refusal(reply: Reply, hidden: Iterable[str] = ()) -> Failure:
    """The failure behind an error status. Both codes are looked at: query code and shape name. Never raises.

    `hidden` texts of the request are left out of the failure's.
    """
    status = str(reply.status)
    if reply.status >= _FIRST_FAULT and (not reply.body.strip() or reply.body.strip().startswith(b"<html>")):
        return classify((status,), _phrase(reply.status))
    try:
        body = parsed(reply.body) if reply.body else {}
    except Garbled:
        body = {"message": reply.body[:1000].decode(errors="replace")}
    message, shape = body.get("message", body.get("Message", "")), body.get("__type", status)
    shape = shape if isinstance(shape, str) else status
    shape = shape.partition(":")[0].rpartition("#")[2]
    old = reply.headers.get("x-amzn-query-error", "").split(";")  # the code of the older protocol, and whose fault
    names = (old[0], shape) if len(old) == 2 else (shape,)
    failure = classify(tuple(name for name in names if name) or (status,), clean(message, hidden))
    if failure.kind is FailureKind.CLOCK:
        return replace(failure, text=f"{failure.text}{skew(reply.headers.get('date', ''))}")
    return failure


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""
