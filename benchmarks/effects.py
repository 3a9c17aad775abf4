"""Pure rules: what handler functions wrote down: starts and ends of messages, and what follows for a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One line of an effects file."""

    step: str  #: "start" or "end"
    number: int
    ns: int
    pid: int
    name: str  #: the message id, "-" where the contender does not tell it


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of the messages that were confirmed to the producer."""

    sent: int
    effects: int
    lost: int  #: no effect, and not in a queue any more
    duplicated: int  #: effects beyond the first of each message
    hung: int  #: no effect, and in the queue still when everything had come to a standstill


def read(lines: Iterable[str]) -> list[Step]:
    """The steps; half a line, as a full disk leaves it, is left out."""
    steps = []
    for line in lines:
        words = line.split()
        if len(words) == 5:
            steps.append(Step(words[0], int(words[1]), int(words[2]), int(words[3]), words[4]))
    return steps


def judge(sent: Iterable[int], steps: Iterable[Step], *, left: int) -> Verdict:
    """Hold what was sent against what happened; `left` messages are in the queue at the end.

    A message that had its effect may be left as well, waiting to come a second time: those count as hung only as far
    as messages without an effect are missing.
    """
    numbers = set(sent)
    effects = Counter(step.number for step in steps if step.step == "end" and step.number in numbers)
    missing = len(numbers) - len(effects)
    hung = min(missing, left)
    return Verdict(
        sent=len(numbers),
        effects=effects.total(),
        lost=missing - hung,
        duplicated=effects.total() - len(effects),
        hung=hung,
    )
