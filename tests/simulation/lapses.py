"""Test process: the oracle's rules of leases: each that ran out had a cause, as its poller could see it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.simulation.story import Assigned, Facts, Incident, Lapse, Story

#: Seconds that a call may take until it is given up, and till a beat that failed is tried again.
LOST_CALL, AGAIN = 5.0, 1.0
#: Seconds of grace where the rules speak of a third of the visibility timeout.
SLACK = 1.0
#: Effects of the fault plan whose victims wait for an answer in vain.
SILENT = {"drop", "black_hole", "trickle", "delay"}
#: Incidents that keep no poller from its heartbeats.
HARMLESS = {"handler stopped", "sends refused"}


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
    if _given_up(story, given, lapse, facts):
        return "given back with the first delivery"
    # What nobody has confirmed to a poller does not count for it: it gives up a lease that SQS still keeps for a while.
    end = min(lapse.at, facts.known[lapse.receipt])
    start = max(given.at, end - facts.visibility)
    every = _disturbances(facts, given.connection)
    hits = [one for one in every if one.end > start and one.start < end]
    need = facts.visibility / 3 + SLACK
    if any(one.kind in ("lost call", "stuck") for one in hits):
        need = max(need, LOST_CALL + AGAIN + SLACK)
    # An answer that came late leaves less of a lease: beats are due from when the poller had it.
    gap, free_from = 0.0, max(start, facts.owned[lapse.receipt])
    for one in sorted(hits, key=lambda one: one.start):
        gap = max(gap, one.start - free_from)
        free_from = max(free_from, one.end)
    gap = max(gap, end - free_from)
    return ", ".join(sorted({one.kind for one in hits})) if hits and gap < need else ""


def _why_overruled(story: Story, lapse: Lapse, facts: Facts) -> str:
    """Why a release by an older receipt hit the lease of a newer one; standard queues take any receipt."""
    if any(
        other.at <= lapse.at
        and story.together(other.receipt, lapse.by)
        and not (other.by and story.together(other.by, lapse.by))
        for other in story.lapses
    ):
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


def _given_up(story: Story, given: Assigned, lapse: Lapse, facts: Facts) -> bool:
    """Whether its poller had parked it, and then gave the first delivery back: on a standard queue that is for both.

    Who extends it once more by another receipt, the parked one's last heartbeat too, makes it end later than was asked.
    """
    return any(
        facts.owned[lapse.receipt] <= call.at <= at <= lapse.at and facts.same_poller(call.connection, given.connection)
        for at, by in story.given_up
        for call in facts.releases.get(by, ())
    )


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


def _disturbances(facts: Facts, connection: int) -> Iterator[Incident]:
    """What kept a poller, or whoever came in its place, from extending a lease."""
    machine, place = facts.machines[connection], facts.places[connection]
    for one in facts.incidents:
        elsewhere = one.kind == "poller down" and one.what not in ("", place)
        if one.machine in ("", machine) and one.kind not in HARMLESS and not elsewhere:
            yield one
    for fault in facts.faults:
        at = fault["now"]
        if facts.machines.get(fault["connection"]) == machine and fault["action"] != "ReceiveMessage":
            silent = fault["effect"] in SILENT
            yield Incident("lost call", at, at + LOST_CALL + AGAIN) if silent else Incident("error", at, at + AGAIN)
