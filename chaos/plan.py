"""Pure rules: the storm as data. Which fault comes when, on whom, and for how long, drawn from a seed.

Whom it hits among several processes is a number from 0 to 1, since nobody knows yet who will be alive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

#: Of a hundred SIGKILLs, those that go to each role; "tree" is every process of the pool at once, as a host's end is.
KILLS = {"handler": 80, "poller": 16, "supervisor": 3, "tree": 1}
#: Faults other than SIGKILLs, by weight: (kind, role or manner).
OTHERS: Mapping[tuple[str, str], int] = {
    ("stop", "handler"): 10,
    ("stop", "poller"): 5,
    ("stop", "supervisor"): 3,
    ("stop", "tree"): 2,
    ("squeeze", "handler"): 4,
    ("squeeze", "poller"): 2,
    ("reload", "supervisor"): 2,
    ("network", "reset"): 8,
    ("network", "black_hole"): 4,
    ("network", "half_open"): 4,
    ("network", "trickle"): 4,
    ("network", "delay"): 6,
    ("broker", ""): 46,
}
#: Seconds that a fault lasts: from, to. A pool that stands still longer than its leases loses them, which is the plan.
LASTING = {
    ("stop", "handler"): (0.05, 20.0),
    ("stop", "poller"): (0.05, 5.0),
    ("stop", "supervisor"): (0.1, 4.0),
    ("stop", "tree"): (0.2, 12.0),
    ("squeeze", "handler"): (0.5, 2.0),
    ("squeeze", "poller"): (0.5, 2.0),
    ("reload", "supervisor"): (3.0, 3.0),
    ("network", "reset"): (0.05, 0.05),
}
_NETWORK, _BROKER = (0.1, 3.0), (0.2, 3.0)
_SETTLE = ["DeleteMessageBatch", "ChangeMessageVisibilityBatch"]
_ALL = ["ReceiveMessage", *_SETTLE, "SendMessageBatch"]
#: Rules of the SQS server's fault plan; `until` is drawn. A storm of errors hits everything, a loss a few requests.
BROKER: tuple[Mapping[str, Any], ...] = (
    {"effect": "unavailable", "status": 503, "action": _ALL},
    {"effect": "unavailable", "status": 500, "probability": 0.5},
    {"effect": "error", "shape": "InternalFailure", "status": 500, "when": "after", "probability": 0.3},
    {"effect": "throttle", "action": "ReceiveMessage"},
    {"effect": "throttle", "action": "DeleteMessageBatch"},
    {"effect": "throttle", "action": "ChangeMessageVisibilityBatch"},
    {"effect": "html", "status": 200, "probability": 0.3},
    {"effect": "delay", "seconds": 0.7, "probability": 0.5},
    {"effect": "drop", "when": "before", "how": "reset", "probability": 0.3},
    {"effect": "drop", "when": "after", "how": "reset", "probability": 0.3},
    {"effect": "drop", "when": "after", "how": "close", "action": "ReceiveMessage", "count": 3},
    {"effect": "drop", "when": "after", "action": "SendMessageBatch", "count": 2},
    {"effect": "black_hole", "when": "after", "action": "ReceiveMessage", "count": 1},
    {"effect": "black_hole", "when": "after", "action": "DeleteMessageBatch", "count": 2},
    {"effect": "black_hole", "when": "before", "action": "DeleteMessageBatch", "count": 2},
    {"effect": "trickle", "bytes_per_second": 50, "action": "ReceiveMessage", "count": 1},
    {"effect": "fail_entries", "share": 0.4, "action": _SETTLE},
    {"effect": "fail_entries", "share": 0.4, "action": _SETTLE, "applied": True},
    {"effect": "omit_entries", "share": 0.4, "action": _SETTLE},
    {"effect": "omit_entries", "share": 0.4, "action": _SETTLE, "applied": True},
    {"effect": "wrong_md5", "action": "ReceiveMessage", "count": 1},
    {"effect": "duplicate", "action": "ReceiveMessage", "count": 3},
    {"effect": "mangle", "action": "ReceiveMessage", "remove": ["ReceiptHandle"], "count": 1},
    {"effect": "mangle", "action": "ReceiveMessage", "add": {"Nobody": "knows"}, "count": 5},
    {"effect": "mangle", "action": "ReceiveMessage", "of": "answer", "null": ["Messages"], "count": 1},
    {"effect": "empty", "action": "ReceiveMessage", "count": 3},
    {"effect": "lapse", "messages": 3, "action": "ReceiveMessage", "count": 1},
)


@dataclass(frozen=True, slots=True)
class Blow:
    """One fault to come."""

    at: float  #: seconds after the storm's begin
    kind: str
    role: str
    seconds: float = 0.0  #: how long it lasts
    pick: float = 0.0  #: which of the processes that there are then: 0 to 1; of the network the share of connections
    rule: Mapping[str, Any] = field(default_factory=dict)  #: of the SQS server's fault plan


def storm(chance: Random, *, seconds: float, kills: float, others: float, without: Iterable[str] = ()) -> list[Blow]:
    """A storm of `seconds`, with `kills` SIGKILLs and `others` other faults a second on the average, by their times.

    Kinds and roles in `without` are left out.
    """
    left_out = set(without)
    deadly = {role: weight for role, weight in KILLS.items() if role not in left_out}
    gentle = {pair: weight for pair, weight in OTHERS.items() if not left_out & {*pair}}
    blows = [
        Blow(at, "kill", role, pick=chance.random())
        for at in _moments(chance, seconds, kills)
        for role in chance.choices(list(deadly), list(deadly.values()))
    ]
    for at in _moments(chance, seconds, others):
        (pair,) = chance.choices(list(gentle), list(gentle.values()))
        blows.append(_other(chance, at, pair))
    return sorted(blows, key=lambda blow: blow.at)


def pokes(*, first: float, every: float, count: int) -> list[Blow]:
    """SIGKILLs of pollers only, while long messages run."""
    return [Blow(first + every * number, "kill", "poller") for number in range(count)]


def singles(*, handlers: int, pollers: int, every: float) -> list[Blow]:
    """SIGKILLs that come alone: handlers, then pollers with twice the time between them."""
    blows = [
        Blow(every * (number + 1), "kill", "handler", pick=number / max(1, handlers)) for number in range(handlers)
    ]
    begin = every * handlers
    return blows + [Blow(begin + 2 * every * (number + 1), "kill", "poller") for number in range(pollers)]


def _moments(chance: Random, seconds: float, rate: float) -> list[float]:
    """Moments that know nothing of each other: now a rush, now a calm."""
    moments: list[float] = []
    at = chance.expovariate(rate) if rate > 0 else seconds
    while at < seconds:
        moments.append(at)
        at += chance.expovariate(rate)
    return moments


def _other(chance: Random, at: float, pair: tuple[str, str]) -> Blow:
    kind, role = pair
    usual = _BROKER if kind == "broker" else _NETWORK
    shortest, longest = LASTING.get(pair, usual)
    # Most are short and a few are long: the square of an even draw.
    seconds = shortest + (longest - shortest) * chance.random() ** 2
    pick = chance.random()
    if kind != "broker":
        return Blow(at, kind, role, seconds, pick)
    rule = dict(chance.choice(BROKER))
    return Blow(at, kind, str(rule["effect"]), seconds, pick, rule | {"until": seconds})
