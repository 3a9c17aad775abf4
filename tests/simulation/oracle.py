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
from tests.simulation.lapses import lapses
from tests.simulation.story import Assigned, Facts, Lapse, Story, by_group
from worker.poller.heartbeater import DENIED_PAUSE

#: Starts that end by death before a message is quarantined (policy.outcomes.CRASHES), as the promise says.
DEATHS = 3
#: Incidents of a machine whose poller may not hear what its handlers tell.
UNHEARD = {"stuck", "poller stopped", "host suspended"}
#: Seconds before the end of a lease that nobody may extend, less a twentieth of the visibility timeout, at which its
#: function is stopped (poller/watchman.py); its handler is killed within them.
ENDING = 2.0
#: The cause of a duplicate that the handler function has itself.
OVERRAN = "handler function overran its deadline"


@dataclass(slots=True)
class Verdict:
    """What the oracle found."""

    violations: list[str] = field(default_factory=list)
    duplicates: Counter[str] = field(default_factory=Counter)  #: by cause
    lapses: Counter[str] = field(default_factory=Counter)

    def nothing_failed(self) -> None:
        """Then what was explained by a failure is a violation as well."""
        causes = (*self.duplicates, *self.lapses)
        self.violations += [f"{cause}, though nothing failed" for cause in causes if cause != OVERRAN]


def judge(facts: Facts, orders: dict[int, Order], *, fifo: bool, attempts: int, dead_letters: bool) -> Verdict:
    """Hold every rule against the facts."""
    verdict = Verdict()
    stories = facts.stories.values()
    for story in stories:
        wish = orders[story.number]
        verdict.violations += fate(story, wish, attempts=attempts if fifo else 0, dead_letters=dead_letters)
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
        return OVERRAN
    if before.outcome == "forward" and _refused(facts, between=(before.started, after.started)):
        return "its forward was refused for good"
    first, second = sorted((before.receives, after.receives))
    lapse = _lapse_between(story, story.given(first), story.given(second))
    if lapse is not None:
        return "lease lapsed by injection" if lapse.injected else "lease lapsed"
    # FIFO: the first receipt is dead from the moment of the second, and what is done under it does not count. Standard:
    # a delete by the first deletes nothing, and only the poller that made it knows that the message is done.
    forgotten = any(before.started <= facts.died.get(one, 0.0) <= after.started for one in facts.pollers.values())
    return "SQS gave it twice at once" if story.given_twice and (story.group or forgotten) else ""


def _refused(facts: Facts, *, between: tuple[float, float]) -> bool:
    """Whether SQS may have said of a message that was to be sent that it will never take it."""
    first, last = between
    return any(one.kind == "sends refused" and one.start <= last and one.end >= first for one in facts.incidents)


def _lapse_between(story: Story, first: Assigned | None, second: Assigned | None) -> Lapse | None:
    if first is None or second is None or first is second:
        return None
    return next((lapse for lapse in story.lapses if first.at <= lapse.at <= second.at), None)


# --- nobody is killed for nothing


def hangs(facts: Facts) -> Iterator[str]:
    """A handler that was killed as overdue ran something for long or without a lease, was stopped, or not heard."""
    runs = [run for story in facts.stories.values() for run in story.runs]
    for handler, at in facts.overdue:
        machine = handler.partition(" ")[0]
        long = any(run.handler == handler and _end(run, facts) - run.started >= EXTENDED for run in runs)
        excused = any(
            one.what == handler or (one.machine == machine and one.kind in UNHEARD) for one in facts.incidents
        )
        if not (long or excused or _leaseless(handler, at, facts)):
            yield f"{handler} was killed at {at - 1000:.3f} as overdue, and was not"


def _leaseless(handler: str, at: float, facts: Facts) -> bool:
    """Whether what it ran had a lease that was about to end, and that its poller was not allowed to extend.

    A deadline is given with the message: it stays as it was, also if the lease can be extended again later.
    """
    early = ENDING + facts.visibility / 20
    for story in facts.stories.values():
        for run in story.runs:
            given = story.given(run.receives) if run.handler == handler and run.ended is None else None
            if given is None or given.receipt not in facts.known:
                continue
            if facts.known[given.receipt] - early <= at and _denied(given, facts, since=at, till=at):
                return True
            if facts.came[given.receipt] - early <= at and _denied(given, facts, since=given.at, till=run.started):
                return True
    return False


def _denied(given: Assigned, facts: Facts, *, since: float, till: float) -> bool:
    """Whether a poller that has this lease, or has taken it over, knew in this time that it may not extend it."""
    pause = facts.visibility + DENIED_PAUSE  # by which the incident is longer than SQS denied anything
    denials = [(one.start, one.end - pause) for one in facts.incidents if one.kind == "changes denied"]
    for fault in facts.faults:
        connection, when = fault["connection"], fault["now"]
        told = fault["effect"] == "error" and fault["action"].startswith("Change")
        if told and any(start <= when <= end for start, end in denials):
            knew = when <= till and since <= when + DENIED_PAUSE + ENDING
            # A successor has to hear it itself.
            lived = facts.died.get(facts.pollers.get(connection, ""), float("inf")) > since - ENDING
            if knew and lived and facts.same_poller(connection, given.connection):
                return True
    return False


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
