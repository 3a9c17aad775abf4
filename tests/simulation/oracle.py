"""Test process: the verdict on a world, from the server's events, the effects and the faults; never from our counters.

Each rule yields violations. A duplicate, a lapsed lease or an inversion is one unless a fault explains it; what was
explained is counted by cause.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.simulation.application import Order, Run
from tests.simulation.story import Assigned, Facts, Incident, Lapse, Story, by_group

#: Starts that end by death before a message is quarantined (policy.outcomes.CRASHES), as the promise says.
DEATHS = 3
#: Seconds that a call may take until it is given up, and till a beat that failed is tried again.
LOST_CALL, AGAIN = 5.0, 1.0
#: Seconds of grace where the rules speak of a third of the visibility timeout.
SLACK = 1.0
#: Seconds from the reading of a receive's answer to its last record.
BEFORE_WRITTEN = 0.0001
#: Effects of the fault plan whose victims wait for an answer in vain.
SILENT = {"drop", "black_hole", "trickle", "delay"}


@dataclass(slots=True)
class Verdict:
    """What the oracle found."""

    violations: list[str] = field(default_factory=list)
    duplicates: Counter[str] = field(default_factory=Counter)  #: by cause
    lapses: Counter[str] = field(default_factory=Counter)


def judge(facts: Facts, orders: dict[int, Order], *, fifo: bool, attempts: int) -> Verdict:
    """Hold every rule against the facts."""
    verdict = Verdict()
    stories = facts.stories.values()
    for story in stories:
        verdict.violations += fate(story, orders[story.number], facts, attempts=attempts if fifo else 0)
        verdict.violations += settled_after_its_outcome(story)
        verdict.violations += duplicates(story, facts, verdict.duplicates)
        verdict.violations += lapses(story, facts, verdict.lapses)
    if fifo:
        for group in by_group(stories).values():
            verdict.violations += order(group, facts)
    return verdict


# --- nothing is lost


def fate(story: Story, wish: Order, facts: Facts, *, attempts: int) -> Iterator[str]:
    """Each message had its effect, or is in the dead-letter queue for a reason."""
    if story.deleted is None and story.redriven is None:
        yield f"message {story.number} is still in the queue"
    wanted = wish.do not in ("reject", "poison")
    done = any(run.effect is not None and run.outcome in ("ack", "forward") for run in story.runs)
    if story.dead_lettered:
        deaths = sum(run.ended is None and run.handler in facts.died for run in story.runs)
        rejected = any(run.outcome == "reject" for run in story.runs)
        if not (rejected or deaths >= DEATHS or (attempts and _attempts(story, facts) >= attempts)):
            yield f"message {story.number} was dead-lettered for no reason"
    elif wanted and not done:
        yield f"message {story.number} is lost: no effect, not in the dead-letter queue"
    elif not wanted:
        yield f"message {story.number} ({wish.do}) is lost: not in the dead-letter queue"
    if done and wish.do == "forward" and not story.forwarded and not story.dead_lettered:
        yield f"message {story.number} is lost: its forward was never sent"


def _attempts(story: Story, facts: Facts) -> int:
    """Attempts as the poller may count them: earlier receives, and the failures in the last one that had any."""
    failures = ("retry", "exception", "overdue")
    failed = [run.receives for run in story.runs if run.outcome in failures or run.handler in facts.died]
    return max((count - 1 + failed.count(count) for count in failed), default=0)


def settled_after_its_outcome(story: Story) -> Iterator[str]:
    """A delete comes after an effect that was acked, or after its dead letter or forward was sent."""
    if story.deleted is None:
        return
    acked = (run.ended for run in story.runs if run.outcome == "ack" and run.ended is not None)
    reasons = [*acked, *story.dead_lettered, *story.forwarded]
    if not any(at <= story.deleted for at in reasons):
        yield f"message {story.number} was deleted at {story.deleted - 1000:.3f} before it was done"


# --- nothing happens twice


def duplicates(story: Story, facts: Facts, causes: Counter[str]) -> Iterator[str]:
    """Each further effect has a cause: the death of the handler that had the one before, or a lapsed lease."""
    effects = story.effects()
    for before, after in zip(effects, effects[1:], strict=False):
        cause = _why_again(story, before, after, facts)
        if cause:
            causes[cause] += 1
        else:
            yield f"message {story.number} had its effect twice: {before}, then {after}"


def _why_again(story: Story, before: Run, after: Run, facts: Facts) -> str:
    dead = facts.died.get(before.handler)
    if dead is not None and dead <= after.started:
        if not before.recorded:
            return "handler died before its outcome"
        if before.outcome == "forward":
            return "handler died before its forward was read"
    if before.outcome == "overdue":
        return "handler function overran its deadline"
    first, second = sorted((before.receives, after.receives))
    lapse = _lapse_between(story, story.given(first), story.given(second))
    if lapse is not None:
        return "lease lapsed by injection" if lapse.injected else "lease lapsed"
    return ""


def _lapse_between(story: Story, first: Assigned | None, second: Assigned | None) -> Lapse | None:
    if first is None or second is None or first is second:
        return None
    return next((lapse for lapse in story.lapses if first.at <= lapse.at <= second.at), None)


# --- leases are kept


def lapses(story: Story, facts: Facts, causes: Counter[str]) -> Iterator[str]:
    """Each lease that ran out had a poller that could not extend it, or had never heard of it."""
    for lapse in story.lapses:
        cause = "injected" if lapse.injected else _why_lapsed(story, lapse, facts)
        if cause:
            causes[cause] += 1
        else:
            yield f"the lease of message {story.number} ({lapse.receipt}) lapsed at {lapse.at - 1000:.3f}"


def _why_lapsed(story: Story, lapse: Lapse, facts: Facts) -> str:
    given = next((one for one in story.assigned if one.receipt == lapse.receipt), None)
    if given is None:
        return "second receipt"
    machine = facts.machines[given.connection]
    start = story.extended[lapse.receipt]
    hits = [one for one in _disturbances(facts, machine, given.connection) if one.end > start and one.start < lapse.at]
    read = facts.read.get(lapse.receipt, float("inf"))
    killed = facts.killed.get(facts.pollers[given.connection], float("inf"))
    if read > lapse.at:
        return "the receive's answer was lost" if hits or killed < lapse.at else ""
    if killed < read + BEFORE_WRITTEN:
        return "the poller was killed before it had written it down"
    need = facts.visibility / 3 + SLACK
    if any(one.kind in ("lost call", "stuck") for one in hits):
        need = max(need, LOST_CALL + AGAIN + SLACK)
    gap, free_from = 0.0, start
    for one in sorted(hits, key=lambda one: one.start):
        gap = max(gap, one.start - free_from)
        free_from = max(free_from, one.end)
    gap = max(gap, lapse.at - free_from)
    return ", ".join(sorted({one.kind for one in hits})) if hits and gap < need else ""


def _disturbances(facts: Facts, machine: str, connection: int) -> Iterator[Incident]:
    """What kept a machine from extending a lease."""
    yield from (one for one in facts.incidents if one.machine in ("", machine))
    for fault in facts.faults:
        silent = fault["effect"] in SILENT
        mine = fault["connection"] == connection or facts.machines.get(fault["connection"]) == machine
        if mine:
            at = fault["now"]
            yield Incident("lost call", at, at + LOST_CALL + AGAIN) if silent else Incident("error", at, at + AGAIN)


# --- order


def order(group: list[Story], facts: Facts) -> Iterator[str]:
    """First effects are in order; no older effect comes after a newer one; one of a group runs at a time."""
    for place, older in enumerate(group):
        for newer in group[place + 1 :]:
            for late in older.effects():
                early = next((run for run in newer.effects() if (run.effect or 0.0) < (late.effect or 0.0)), None)
                if early is not None and not (_loose(older, late, facts) or _loose(newer, early, facts)):
                    yield f"message {older.number} had an effect after {newer.number}, which is newer"
    runs = sorted(((story, run) for story in group for run in story.runs), key=lambda pair: pair[1].started)
    for place, (story, run) in enumerate(runs):
        end = min(run.ended or float("inf"), facts.died.get(run.handler, float("inf")))
        for other, later in runs[place + 1 :]:
            if later.started >= end:
                break
            if not (_loose(story, run, facts) or _loose(other, later, facts)):
                yield f"{run} and {later} of one group ran at the same time"


def _loose(story: Story, run: Run, facts: Facts) -> bool:
    """Whether the run's lease lapsed before it ended, so that order is nobody's to keep."""
    given = story.given(run.receives)
    if given is None:
        return False
    end = min(run.ended or float("inf"), facts.died.get(run.handler, float("inf")))
    return any(given.at <= lapse.at <= end for lapse in story.lapses)
