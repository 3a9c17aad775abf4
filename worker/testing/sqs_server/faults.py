"""SQS server process: the fault plan: which requests go wrong, how, and how often. Time and chance are passed in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

#: Effects, and the parameters each of them takes beside those of every rule.
EFFECTS: Final[dict[str, frozenset[str]]] = {
    # Answers an error of this shape (any name) instead of acting; `when` = "after" acts first.
    "error": frozenset({"shape", "status", "message", "when"}),
    # Short for the error RequestThrottled.
    "throttle": frozenset({"when"}),
    # Short for an HTTP error (503) without an SQS body.
    "unavailable": frozenset({"status", "when"}),
    # A body that is not JSON, with a status of 200: what a proxy says.
    "html": frozenset({"status", "text", "when"}),
    # Acts, and answers `seconds` later.
    "delay": frozenset({"seconds"}),
    # Ends the connection: `when` "before" or "after" acting; `how` "reset" or "close".
    "drop": frozenset({"when", "how"}),
    # Acts, and answers at this many bytes a second.
    "trickle": frozenset({"bytes_per_second"}),
    # Never answers and reads nothing more, `when` "before" or "after" acting.
    "black_hole": frozenset({"when"}),
    # Entries of a batch fail: those at `positions` (from 0), or each with the chance `share`.
    # They are not acted on, unless `applied`.
    "fail_entries": frozenset({"positions", "share", "code", "message", "sender_fault", "applied"}),
    # Entries of a batch are missing from both lists of the answer.
    "omit_entries": frozenset({"positions", "share", "applied"}),
    # MD5OfBody of received messages, or MD5OfMessageBody of sent ones, is wrong.
    "wrong_md5": frozenset(),
    # Every received message comes twice in the same answer, with two receipts.
    "duplicate": frozenset(),
    # Up to `messages` messages in flight become visible before their time.
    "lapse": frozenset({"messages"}),
    # A receive gets nothing, however many there are.
    "empty": frozenset(),
    # Changes members of received messages (`of` "message") or of the answer: removes them, makes them null, adds some.
    "mangle": frozenset({"of", "remove", "null", "add"}),
}
_RULE: Final = frozenset({"effect", "action", "queue", "count", "skip", "probability", "after", "until"})


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `after` and `until` are seconds since it was set, `skip` matches pass first, `count` 0 is no limit."""

    effect: str
    actions: frozenset[str] = frozenset()
    queue: str = ""
    count: int = 0
    skip: int = 0
    probability: float = 1.0
    after: float = 0.0
    until: float = float("inf")
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def matches(self, action: str, queue: str) -> bool:
        """Whether the rule is about this action on this queue."""
        return (not self.actions or action in self.actions) and (not self.queue or queue == self.queue)


def _names(value: object) -> frozenset[str]:
    given = value if isinstance(value, list) else [value]
    names = [name for name in given if isinstance(name, str)]
    if len(names) != len(given):
        raise ValueError("action must be a name or a list of names")
    return frozenset() if "*" in names else frozenset(names)


def rule(fields: Mapping[str, Any]) -> Rule:
    """Reads a rule. Raises ValueError, which names what is wrong, for unknown effects and fields."""
    effect = fields.get("effect")
    if not isinstance(effect, str) or effect not in EFFECTS:
        raise ValueError(f"effect must be one of {', '.join(EFFECTS)}, not {effect!r}")
    unknown = fields.keys() - _RULE - EFFECTS[effect]
    if unknown:
        raise ValueError(f"effect {effect} has no field {', '.join(sorted(unknown))}")
    queue = fields.get("queue", "*")
    return Rule(
        effect,
        _names(fields.get("action", "*")),
        "" if queue == "*" else str(queue),
        int(fields.get("count", 0)),
        int(fields.get("skip", 0)),
        float(fields.get("probability", 1.0)),
        float(fields.get("after", 0.0)),
        float(fields.get("until", "inf")),
        {name: value for name, value in fields.items() if name in EFFECTS[effect]},
    )


@dataclass(slots=True)
class _Active:
    rule: Rule
    since: float
    matched: int = 0
    used: int = 0


class FaultPlan:
    """The rules in force. Without rules a request costs one look at an empty list."""

    def __init__(self) -> None:
        self._active: list[_Active] = []

    def __bool__(self) -> bool:
        return bool(self._active)

    def add(self, rules: list[Rule], now: float) -> None:
        """Puts rules in force; their windows begin now."""
        self._active.extend(_Active(rule, now) for rule in rules)

    def clear(self) -> None:
        """Ends all faults."""
        self._active.clear()

    def decide(self, action: str, queue: str, *, now: float, chance: Callable[[], float]) -> tuple[Rule, ...]:
        """The rules that hit this request, in their order; counts them as used. `chance` draws from [0, 1)."""
        hit = []
        for active in self._active:
            one = active.rule
            if not one.matches(action, queue) or not one.after <= now - active.since < one.until:
                continue
            active.matched += 1
            if active.matched <= one.skip or (one.count and active.used >= one.count):
                continue
            if one.probability >= 1.0 or chance() < one.probability:
                active.used += 1
                hit.append(one)
        return tuple(hit)

    def uses(self) -> list[dict[str, Any]]:
        """How often each rule was used, for tests that must know that their fault happened."""
        return [
            {"effect": active.rule.effect, "action": sorted(active.rule.actions), "queue": active.rule.queue}
            | {"matched": active.matched, "used": active.used}
            for active in self._active
        ]
