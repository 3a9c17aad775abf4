"""Poller process: what botocore raises, as a Failure."""

from __future__ import annotations

import email.utils
import time
from dataclasses import replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from worker.policy.failures import Failure, FailureKind, classify


def failure_of(error: Exception) -> Failure:
    """The failure behind an exception of a boto3 call. Both codes of SQS are looked at: query code and shape name."""
    if isinstance(error, ClientError):
        details: Any = error.response.get("Error", {})
        status = str(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
        names = (details.get("Code", ""), details.get("QueryErrorCode", ""))
        codes = tuple(name for name in names if name) or (status,)
        failure = classify(codes, clean(details.get("Message", "")))
        if failure.kind is FailureKind.CLOCK:
            headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
            return replace(failure, text=f"{failure.text}{_skew(headers.get('date', ''))}")
        return failure
    name = type(error).__name__
    if isinstance(error, BotoCoreError):
        # Timeouts, connection and credential errors; an answer that cannot be parsed is one of them.
        return classify((name,), clean(str(error)))
    return Failure(FailureKind.TRANSIENT, name, clean(str(error)))


def _skew(date: str) -> str:
    """How far our clock is from the answer's Date header, for people."""
    try:
        ahead = time.time() - email.utils.parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return ""
    return f" (this machine's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} that of AWS)"


def entry_failure(entry: dict[str, Any]) -> Failure:
    """The failure of one entry of a batch that answered 200."""
    return classify(
        (entry.get("Code", "Unknown"),), clean(entry.get("Message", "")), sender_fault=entry.get("SenderFault", False)
    )


def clean(text: str) -> str:
    """An error text without what must not reach a log: SQS echoes receipt handles."""
    words = [word if len(word) <= 200 else f"{word[:12]}...({len(word)} characters)" for word in text.split(" ")]
    return " ".join(words)[:500]
