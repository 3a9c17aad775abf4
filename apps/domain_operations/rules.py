"""Handler process: what a domain message asks, and whether it still counts; pure: time and chance are arguments.

A message is flat, `{domain, action, tenant_id?, idempotency_key?, timestamp}`, or has `version: "1.0"`, and
`metadata.timestamp` in place of `timestamp`. Timestamps are ISO 8601, UTC where they name no zone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import orjson

ACTIONS = ("activate", "deactivate")
#: A label of a host name, RFC 1123; an internationalised name comes in its xn-- form.
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
#: Without the final dot, RFC 1035.
_LONGEST_DOMAIN = 253
#: Of tenants and idempotency keys, in characters: 100 keys and the rest fit a DynamoDB item of 400 KB many times.
_LONGEST_TEXT = 256
#: Idempotency keys that a row remembers: a domain has a handful of operations in its life.
KEYS = 100
#: Seconds by which a timestamp may lie ahead of the moment when SQS got its message, without a warning. AWS refuses
#: requests whose clock is as far off, so a sender that got through took its timestamp from another clock.
AHEAD = 900.0
#: Seconds that a claim is kept for one who may have died. More than handler_timeout of worker.toml and the second in
#: which a hung handler is killed: while the claim lasts, nobody else can be at work on the domain.
CLAIM = 150.0


class BadChange(ValueError):
    """The message asks for nothing that can be done; the text says why, without any of its content but the domain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a message asks."""

    domain: str  #: lower case, no final dot
    action: str  #: one of ACTIONS
    at: datetime  #: when it was asked, with a zone
    tenant_id: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A domain as the table has it. `updated_at` is the timestamp of the message that made it what it is."""

    domain: str
    status: str = ""  #: "active", "inactive"; between the two "activating", "deactivating"; "" before the first message
    tenant_id: str | None = None
    hosted_zone_id: str | None = None
    name_servers: tuple[str, ...] = ()
    generation: int = 0  #: of the CallerReference; it rises with each activation
    updated_at: datetime | None = None
    idempotency_keys: tuple[str, ...] = ()  #: of the last KEYS messages that had one, the oldest first
    claimed_by: str | None = None  #: the id of the message that is at work
    claimed_until: float | None = None  #: seconds since 1970
    revision: int = 0  #: counts all writes: each is made on the condition that nobody wrote in between


class Verdict(Enum):
    """Whether a message still has anything to do."""

    GO = "go"
    STALE = "stale"  #: older than the row
    REPEATED = "repeated"  #: its idempotency key is the row's already
    BUSY = "busy"  #: another message is at work on this domain


def read(body: bytes) -> Change:
    """The change that a message's body asks. Raises BadChange."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadChange(f"the body is not JSON: {error.msg} at byte {error.pos}") from None
    return parse(document)


def parse(document: object) -> Change:
    """The change of a decoded body. Raises BadChange."""
    if not isinstance(document, dict):
        raise BadChange("the body is JSON, but no object")
    place: Any = document
    if "version" in document:
        if document["version"] != "1.0":
            raise BadChange('its version is not known: "1.0", or none')
        place = document.get("metadata")
        if not isinstance(place, dict):
            raise BadChange("metadata is missing, or no object: version 1.0 has its timestamp there")
    return Change(
        domain=domain_name(document.get("domain")),
        action=_action(document.get("action")),
        at=timestamp(place.get("timestamp")),
        tenant_id=_text(document, "tenant_id"),
        idempotency_key=_text(document, "idempotency_key"),
    )


def write(change: Change) -> bytes:
    """The flat body of a change: `read` gives the change again."""
    optional = {"tenant_id": change.tenant_id, "idempotency_key": change.idempotency_key}
    given = {name: value for name, value in optional.items() if value is not None}
    return orjson.dumps({"domain": change.domain, "action": change.action, **given, "timestamp": stamp(change.at)})


def domain_name(value: object) -> str:
    """The name in lower case, without a final dot. Raises BadChange for what Route 53 or DNS would not take."""
    if not isinstance(value, str) or not value:
        raise BadChange("domain is missing, or no text")
    name = value.lower().removesuffix(".")
    labels = name.split(".")
    if len(name) > _LONGEST_DOMAIN:
        raise BadChange(f"domain has {len(name)} characters; {_LONGEST_DOMAIN} are the most")
    if len(labels) < 2 or labels[-1].isdecimal() or not all(map(_LABEL.fullmatch, labels)):
        raise BadChange(f"domain {value!a} is no domain name, such as shop.example (xn-- for other alphabets)")
    return name


def timestamp(value: object) -> datetime:
    """ISO 8601 text, or seconds since 1970. Raises BadChange."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise BadChange("timestamp is missing, or no time such as 2026-01-31T12:00:00Z")


def stamp(moment: datetime) -> str:
    """ISO 8601, UTC, with microseconds and Z."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def caller_reference(domain: str, generation: int) -> str:
    """Route 53 makes one zone for a reference, and never another, even after that zone is gone."""
    return f"{domain}/{generation}"


def is_ours(reference: str, row: Row) -> bool:
    """True if a zone with this CallerReference was made for an activation of this row, an unfinished one included."""
    domain, _, generation = reference.rpartition("/")
    return domain == row.domain and generation in map(str, range(1, row.generation + 1))


def verdict(row: Row, change: Change, *, owner: str, now: float) -> Verdict:
    """What becomes of a message whose id is `owner`; `now` in seconds since 1970."""
    if change.idempotency_key is not None and change.idempotency_key in row.idempotency_keys:
        return Verdict.REPEATED
    if row.updated_at is not None and change.at < row.updated_at:
        return Verdict.STALE
    if row.claimed_by not in (None, owner) and (row.claimed_until or 0.0) > now:
        return Verdict.BUSY
    return Verdict.GO


def ahead(change: Change, *, sent_at: float) -> float:
    """Seconds by which the change's timestamp lies ahead, if too many; 0.0 else. `sent_at` in seconds since 1970."""
    seconds = change.at.timestamp() - sent_at
    return seconds if seconds > AHEAD else 0.0


def claimed(row: Row, change: Change, *, owner: str, now: float) -> Row:
    """The row while `owner` is at work. An activation that begins gets the next generation; one that goes on has it."""
    row = replace(row, claimed_by=owner, claimed_until=now + CLAIM)
    if change.action == "deactivate":
        return replace(row, status="deactivating")
    begins = row.status not in {"activating", "active"}
    return replace(row, status="activating", generation=row.generation + begins)


def released(row: Row) -> Row:
    """The row of one that has failed: others may go on where it stopped."""
    return replace(row, claimed_by=None, claimed_until=None)


def finished(row: Row, change: Change) -> Row:
    """The row once the change is made. What marks the message as done is part of the same write."""
    keys = row.idempotency_keys
    if change.idempotency_key is not None:
        keys = (*keys, change.idempotency_key)[-KEYS:]
    return replace(
        released(row),
        status="active" if change.action == "activate" else "inactive",
        tenant_id=row.tenant_id if change.tenant_id is None else change.tenant_id,
        updated_at=change.at,
        idempotency_keys=keys,
    )


def settled(row: Row) -> bool:
    """True if the row says what the domain is, and not what it is about to be."""
    return row.status in {"active", "inactive"}


def backoff(times: int, *, first: float, most: float, chance: float) -> float:
    """Seconds to wait after something was refused for the `times`-th time, 1 the first: full jitter, doubling."""
    return chance * min(most, first * 2.0 ** min(times - 1, 30))


def _action(value: object) -> str:
    if value not in ACTIONS:
        raise BadChange(f"action is none of {' and '.join(ACTIONS)}")
    return str(value)


def _text(document: dict[str, Any], name: str) -> str | None:
    """An optional text; null counts as left out."""
    value = document.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_TEXT:
        raise BadChange(f"{name} is no text of 1 to {_LONGEST_TEXT} characters")
    return value
