"""Test process: the verdict on a world, from the server's events, the effects and the faults; never from our counters.

Each rule yields violations. A duplicate, a lapsed lease or an inversion is one unless a fault explains it; what was
explained is counted by cause.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from tests.simulation.application import EXTENDED, Order, Run
from tests.simulation.story import Assigned, Facts, Incident, Lapse, Story, by_group

#: Starts that end by death before a message is quarantined (policy.outcomes.CRASHES), as the promise says.
DEATHS = 3
#: Seconds that a call may take until it is given up, and till a beat that failed is tried again.
LOST_CALL, AGAIN = 5.0, 1.0
#: Seconds of grace where the rules speak of a third of the visibility timeout.
SLACK = 1.0
#: Effects of the fault plan whose victims wait for an answer in vain.
SILENT = {"drop", "black_hole", "trickle", "delay"}
#: Incidents that keep no poller from its heartbeats, and those of a machine whose poller may not hear its handlers.
HARMLESS = {"handler stopped", "sends refused"}
UNHEARD = {"stuck", "poller stopped", "host suspended"}


@dataclass(slots=True)
class Verdict:
    """What the oracle found."""

    violations: list[str] = field(default_factory=list)
    duplicates: Counter[str] = field(default_factory=Counter)  #: by cause
    lapses: Counter[str] = field(default_factory=Counter)


def judge(facts: Facts, orders: dict[int, Order], *, fifo: bool, attempts: int, dead_letters: bool) -> Verdict:
    """Hold every rule against the facts."""
    verdict = Verdict()
    stories = facts.stories.values()
    for story in stories:
        verdict.violations += fate(
            story, orders[story.number], attempts=attempts if fifo else 0, dead_letters=dead_letters
        )
        verdict.violations += settled_after_its_outcome(story)
        verdict.violations += duplicates(story, facts, verdict.duplicates)
        verdict.violations += lapses(story, facts, verdict.lapses)
    verdict.violations += hangs(facts)
    if fifo:
        for group in by_group(stories).values():
            verdict.violations += order(group, facts)
    return verdict


# --- nothing is lost


def fate(story: Story, wish: Order, *, attempts: int, dead_letters: bool) -> Iterator[str]:
    """Each message had its effect, or is in the dead-letter queue for a reason."""
    if story.deleted is None and story.redriven is None:
        yield f"message {story.number} is still in the queue"
    wanted = wish.do not in ("reject", "poison") or not dead_letters
    done = any(run.effect is not None and run.outcome in ("ack", "forward") for run in story.runs)
    if story.dead_lettered and not dead_letters:
        yield f"message {story.number} was dead-lettered, though no dead-letter queue is known"
    elif story.dead_lettered:
        rejected = any(run.outcome == "reject" for run in story.runs)
        if not (rejected or story.deaths >= DEATHS or (attempts and _attempts(story) >= attempts)):
            yield f"message {story.number} was dead-lettered for no reason"
    elif wanted and not done:
        yield f"message {story.number} is lost: no effect, not in the dead-letter queue"
    elif not wanted:
        yield f"message {story.number} ({wish.do}) is lost: not in the dead-letter queue"
    if done and wish.do == "forward" and not story.forwarded and not story.dead_lettered:
        yield f"message {story.number} is lost: its forward was never sent"


def _attempts(story: Story) -> int:
    """Attempts as the poller may count them: earlier receives, the failures in one of them, and deaths."""
    failed = [run.receives for run in story.runs if run.outcome not in ("ack", "forward", "reject")]
    return max((count - 1 + failed.count(count) for count in failed), default=0) + story.deaths


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
    for before, after in pairwise(effects):
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
    if before.outcome == "forward" and _refused(facts, between=(before.started, after.started)):
        return "its forward was refused for good"
    first, second = sorted((before.receives, after.receives))
    lapse = _lapse_between(story, story.given(first), story.given(second))
    if lapse is not None:
        return "lease lapsed by injection" if lapse.injected else "lease lapsed"
    # FIFO: the first receipt is dead from the moment of the second, and what is done under it does not count.
    return "SQS gave it twice at once" if story.given_twice and story.group else ""


def _refused(facts: Facts, *, between: tuple[float, float]) -> bool:
    """Whether SQS may have said of a message that was to be sent that it will never take it."""
    first, last = between
    return any(one.kind == "sends refused" and one.start <= last and one.end >= first for one in facts.incidents)


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
    if lapse.by:
        return _why_overruled(story, lapse, facts)
    if lapse.receipt not in facts.owned:
        return _why_unheard(given, lapse, facts)
    # What nobody has confirmed to a poller does not count for it: it gives up a lease that SQS still keeps for a while.
    end = min(lapse.at, facts.known[lapse.receipt])
    start = max(given.at, end - facts.visibility)
    every = _disturbances(facts, facts.machines[given.connection])
    hits = [one for one in every if one.end > start and one.start < end]
    need = facts.visibility / 3 + SLACK
    if any(one.kind in ("lost call", "stuck") for one in hits):
        need = max(need, LOST_CALL + AGAIN + SLACK)
    gap, free_from = 0.0, start
    for one in sorted(hits, key=lambda one: one.start):
        gap = max(gap, one.start - free_from)
        free_from = max(free_from, one.end)
    gap = max(gap, end - free_from)
    return ", ".join(sorted({one.kind for one in hits})) if hits and gap < need else ""


def _why_overruled(story: Story, lapse: Lapse, facts: Facts) -> str:
    """Why a release by an older receipt hit the lease of a newer one; standard queues take any receipt."""
    if any(other.receipt == lapse.by and other.at <= lapse.at for other in story.lapses):
        return "released by a receipt that had lapsed"
    calls = [one for one in facts.releases.get(lapse.by, ()) if one.at <= lapse.at]
    if len({one.connection for one in calls}) > 1:
        return ""  # a successor cannot know that its predecessor's call was not obeyed
    if len(calls) == 1:
        return "a release acted late" if lapse.at - calls[0].at > SLACK else ""
    sent, machine = calls[0].at if calls else lapse.at, facts.machines[calls[0].connection] if calls else ""
    for fault in facts.faults:
        mine = facts.machines.get(fault["connection"]) == machine and fault["action"].startswith("Change")
        if mine and sent <= fault["now"] <= lapse.at:
            return "a release whose answer was lost was repeated"
    stuck = (one for one in facts.incidents if one.machine == machine and one.start <= lapse.at and one.end >= sent)
    return next((f"a release whose answer was lost was repeated: {one.kind}" for one in stuck), "")


def _why_unheard(given: Assigned, lapse: Lapse, facts: Facts) -> str:
    """Why no poller wrote down what SQS had given it."""
    if facts.killed.get(facts.pollers[given.connection], float("inf")) < lapse.at:
        return "the poller was killed before it had written it down"
    machine = facts.machines[given.connection]
    for fault in facts.faults:
        # A rule hits a long poll when it is asked, and its answer, which comes with a message up to a wait later.
        poll = fault["action"] == "ReceiveMessage" and fault["connection"] == given.connection
        if poll and fault["now"] <= given.at <= fault["now"] + facts.wait + SLACK:
            return "no room for duplicates" if fault["effect"] == "duplicate" else "the receive's answer was lost"
    late = given.at + facts.wait + LOST_CALL
    stuck = (
        one
        for one in facts.incidents
        if one.machine == machine and one.start < late and one.end + facts.wait >= given.at
    )
    return next((f"the receive's answer was lost: {one.kind}" for one in stuck), "")


def _disturbances(facts: Facts, machine: str) -> Iterator[Incident]:
    """What kept a machine from extending a lease."""
    yield from (one for one in facts.incidents if one.machine in ("", machine) and one.kind not in HARMLESS)
    for fault in facts.faults:
        at = fault["now"]
        if facts.machines.get(fault["connection"]) == machine and fault["action"] != "ReceiveMessage":
            silent = fault["effect"] in SILENT
            yield Incident("lost call", at, at + LOST_CALL + AGAIN) if silent else Incident("error", at, at + AGAIN)


# --- nobody is killed for nothing


def hangs(facts: Facts) -> Iterator[str]:
    """A handler that was killed as overdue ran something for long, was stopped, or could not be heard."""
    runs = [run for story in facts.stories.values() for run in story.runs]
    for handler, at in facts.overdue:
        machine = handler.partition(" ")[0]
        long = any(run.handler == handler and _end(run, facts) - run.started >= EXTENDED for run in runs)
        excused = any(
            one.what == handler or (one.machine == machine and one.kind in UNHEARD) for one in facts.incidents
        )
        if not (long or excused):
            yield f"{handler} was killed at {at - 1000:.3f} as overdue, and was not"


def _end(run: Run, facts: Facts) -> float:
    """When a run was over."""
    return min(run.ended or float("inf"), facts.died.get(run.handler, float("inf")))


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
        end = _end(run, facts)
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
    end = _end(run, facts)
    return any(given.at <= lapse.at <= end for lapse in story.lapses)
