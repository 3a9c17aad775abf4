"""Test process: rules of the server's fault plan, as a seed draws them."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

RECEIVE, DELETE, HIDE, SEND = (
    "ReceiveMessage",
    "DeleteMessageBatch",
    "ChangeMessageVisibilityBatch",
    "SendMessageBatch",
)
BATCHES = (DELETE, HIDE, SEND)
#: Errors that SQS may answer to anything.
ERRORS = (
    *("InternalFailure", "ServiceUnavailable", "ExpiredToken", "SignatureDoesNotMatch", "RequestTimeTooSkewed"),
    *("KmsThrottled", "KmsDisabled", "AccessDenied", "OverLimit", "QueueDoesNotExist"),
)


def draw(kind: str, chance: random.Random) -> tuple[dict[str, Any], str]:
    """Fields of a rule, and whether a lease may end by it long before its time: "refused", "denied" or nothing."""
    fields = KINDS[kind](chance)
    fields.setdefault("action", chance.choice((RECEIVE, DELETE, HIDE, SEND, [RECEIVE, *BATCHES])))
    fields["until"] = chance.choice((0.5, 4.0, 15.0)) * chance.random() + 0.1
    fields["probability"] = chance.choice((0.3, 0.7, 1.0))
    if chance.random() < 0.4:
        fields["count"] = chance.randint(1, 3)
    if fields.get("shape") == "AccessDenied" and (fields["action"] == HIDE or HIDE in fields["action"]):
        return fields, "denied"
    return fields, "refused" if fields.get("sender_fault") else ""


def refuses_sends(fields: dict[str, Any]) -> bool:
    """Whether messages to be sent are refused for good, so that their sources are shown again after a while."""
    final = fields.get("sender_fault") or fields.get("shape") in ("QueueDoesNotExist", "AccessDenied")
    return bool(final) and (fields["action"] == SEND or SEND in fields["action"])


def _when(chance: random.Random) -> str:
    return chance.choice(("before", "after"))


def _throttle(chance: random.Random) -> dict[str, Any]:
    return {"effect": "throttle", "when": _when(chance)}


def _error(chance: random.Random) -> dict[str, Any]:
    return {"effect": "error", "shape": chance.choice(ERRORS), "when": _when(chance), "status": 400}


def _unavailable(chance: random.Random) -> dict[str, Any]:
    return {"effect": "unavailable", "status": chance.choice((500, 502, 503)), "when": _when(chance)}


def _drop(chance: random.Random) -> dict[str, Any]:
    return {"effect": "drop", "when": _when(chance)}


def _black_hole(chance: random.Random) -> dict[str, Any]:
    return {"effect": "black_hole", "when": _when(chance)}


def _html(chance: random.Random) -> dict[str, Any]:
    return {"effect": "html", "when": _when(chance)}


def _delay(chance: random.Random) -> dict[str, Any]:
    return {"effect": "delay", "seconds": chance.choice((0.5, 3.0, 8.0)) * chance.random()}


def _trickle(_: random.Random) -> dict[str, Any]:
    return {"effect": "trickle"}


def _fail_entries(chance: random.Random) -> dict[str, Any]:
    sender_fault = chance.random() < 0.3
    return {
        "effect": "fail_entries",
        "action": chance.choice(BATCHES),
        "share": chance.choice((0.3, 1.0)),
        "sender_fault": sender_fault,
        "applied": chance.random() < 0.3,
    }


def _omit_entries(chance: random.Random) -> dict[str, Any]:
    share, applied = chance.choice((0.3, 1.0)), chance.random() < 0.5
    return {"effect": "omit_entries", "action": chance.choice(BATCHES), "share": share, "applied": applied}


def _wrong_md5(_: random.Random) -> dict[str, Any]:
    return {"effect": "wrong_md5", "action": RECEIVE}


def _duplicate(_: random.Random) -> dict[str, Any]:
    return {"effect": "duplicate", "action": RECEIVE}


def _lapse(chance: random.Random) -> dict[str, Any]:
    return {"effect": "lapse", "messages": chance.randint(1, 3)}


def _mangle(chance: random.Random) -> dict[str, Any]:
    """Not the group, of which a FIFO queue never forgets to tell."""
    member = chance.choice(("Body", "ReceiptHandle", "MD5OfBody"))
    how = chance.choice(({"remove": [member]}, {"null": [member]}, {"add": {"Unheard": "of"}}))
    return {"effect": "mangle", "action": RECEIVE, "of": "message", **how}


def _storm(chance: random.Random) -> dict[str, Any]:
    """The endpoint is down for everything."""
    return {"effect": chance.choice(("unavailable", "throttle", "drop")), "action": [RECEIVE, *BATCHES]}


def _empty(_: random.Random) -> dict[str, Any]:
    return {"effect": "empty", "action": RECEIVE}


#: By the names under which they are drawn.
KINDS: dict[str, Callable[[random.Random], dict[str, Any]]] = {
    "throttle": _throttle,
    "error": _error,
    "unavailable": _unavailable,
    "drop": _drop,
    "black_hole": _black_hole,
    "html": _html,
    "delay": _delay,
    "trickle": _trickle,
    "fail_entries": _fail_entries,
    "omit_entries": _omit_entries,
    "wrong_md5": _wrong_md5,
    "duplicate": _duplicate,
    "lapse": _lapse,
    "empty": _empty,
    "mangle": _mangle,
    "storm": _storm,
}
