"""Poller process: what botocore raises, as a Failure; and what of an error text may be shown."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from worker.policy.failures import Failure, FailureKind, classify


class NotJson(BotoCoreError):
    """A success that is no JSON object, as of a proxy or a captive portal. botocore would call it an empty answer."""

    fmt = "an answer with status {status} is not JSON: something else than SQS answers"


def refuse_what_is_not_json(http_response: Any, **_: Any) -> None:
    """A botocore hook (after-call). Raises NotJson; a body of nothing says nothing, and is let pass."""
    body = http_response.content.strip()
    if http_response.status_code < 300 and body and not (body.startswith(b"{") and body.endswith(b"}")):
        raise NotJson(status=http_response.status_code)


class Refused(Exception):
    """SQS did not do what it was asked for, or was not reached; `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


def failure_of(error: Exception, hidden: Iterable[str] = ()) -> Failure:
    """The failure behind an exception of a boto3 call. Both codes of SQS are looked at: query code and shape name.

    `hidden` texts of the request are left out of the failure's. Never raises, whatever an endpoint answered.
    """
    if isinstance(error, Refused):
        return error.failure
    if isinstance(error, ClientError):
        details: Any = error.response.get("Error", {})
        status = str(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
        names = (details.get("Code", ""), details.get("QueryErrorCode", ""))
        codes = tuple(str(name) for name in names if name) or (status,)
        failure = classify(codes, clean(details.get("Message", ""), hidden))
        if failure.kind is FailureKind.CLOCK:
            headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
            return replace(failure, text=f"{failure.text}{skew(headers.get('date', ''))}")
        return failure
    name = type(error).__name__
    if "Invalid header value" in str(error):
        # http.client shows the value, and the only one that is not ours is the session token.
        text = "a credential holds a character that no header takes, such as a line end"
        return Failure(FailureKind.CREDENTIALS, name, text)
    if isinstance(error, BotoCoreError):
        # Timeouts, connection and credential errors; an answer that cannot be parsed is one of them.
        return classify((name,), clean(error, hidden))
    return Failure(FailureKind.TRANSIENT, name, clean(error, hidden))


def skew(date: str) -> str:
    """For the text of a failure: how far our clock is from the answer's Date header."""
    try:
        ahead = time.time() - email.utils.parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return ""
    return f" (this machine's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} that of AWS)"


def entry_failure(entry: dict[str, Any], hidden: Iterable[str] = ()) -> Failure:
    """The failure of one entry of a batch that answered 200; `hidden` as in failure_of."""
    text = clean(entry.get("Message", ""), hidden)
    return classify((str(entry.get("Code", "Unknown")),), text, sender_fault=entry.get("SenderFault", False))


def clean(said: object, hidden: Iterable[str] = ()) -> str:
    """An error text without what must not reach a log.

    SQS echoes receipt handles. A refused signature is answered with all that should have been signed, session token
    included.
    """
    text = str(said).partition("The Canonical String")[0]
    for one in hidden:
        text = text.replace(one, "(hidden)")
    words = [word if len(word) <= 200 else f"{word[:12]}...({len(word)} characters)" for word in text.split(" ")]
    return " ".join(words)[:500]
