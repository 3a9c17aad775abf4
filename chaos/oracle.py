"""Pure rules: the verdict on a run, from what the producer, the broker and the handler functions wrote down.

Names are those of Jepsen's total-queue checker: *lost* was confirmed to the producer and had no effect, *unexpected*
had one and was never sent, *recovered* was not confirmed and had one all the same, *duplicated* had more than one. The
run is valid if nothing was lost or unexpected, and everything that happened twice or too early is explained by a fault.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from chaos.attribution import Attribution, Terms
from chaos.executions import Execution, Executions
from chaos.groups import inversions, meetings
from chaos.history import Ending, History
from chaos.logs import Drain, Fault, Poll, Sent

#: Examples of a violation that a verdict names.
_EXAMPLES = 8


@dataclass(slots=True)
class Verdict:
    """What the oracle found. Every `Counter` counts by cause; what nothing explains stands in `violations`."""

    counts: dict[str, int] = field(default_factory=dict)
    duplicated: Counter[str] = field(default_factory=Counter)
    lapsed: Counter[str] = field(default_factory=Counter)
    inverted: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    violations: dict[str, list[str]] = field(default_factory=dict)
    messages: dict[str, int] = field(default_factory=dict)  #: conservation: sent is the sum of the others
    deliveries: dict[str, int] = field(default_factory=dict)  #: conservation: assigned is the sum of the others

    @property
    def valid(self) -> bool:
        """Whether the run kept every promise that the oracle checks."""
        return not self.violations

    def violate(self, kind: str, what: str) -> None:
        """Note a violation; beyond the first few only their number grows."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        examples = self.violations.setdefault(kind, [])
        if len(examples) < _EXAMPLES:
            examples.append(what)


def judge(
    *,
    sent: Iterable[Sent],
    history: History,
    executions: Executions,
    faults: Sequence[Fault],
    terms: Terms,
    polls: Sequence[Poll] = (),
    dead: Iterable[int] = (),
    drains: Sequence[Drain] = (),
    depth: int = 0,
    fifo: bool = False,
) -> Verdict:
    """Hold the logs against each other.

    `dead`: ids in the dead-letter queue after the run; `depth`: messages in the queue then, by the broker's own count.
    """
    verdict = Verdict()
    produced = {one.id: one for one in sent}
    by_id = executions.by_id()
    everything = sorted((*faults, *executions.meals), key=lambda fault: fault.begin)
    attribution = Attribution(history, executions.all, everything, polls=polls, terms=terms)
    dead_ids = set(dead)
    _total_queue(verdict, produced, by_id, dead=dead_ids)
    _effect_before_delete(verdict, history, by_id, dead=dead_ids)
    _duplicates(verdict, by_id, attribution)
    _leases(verdict, history, attribution)
    _groups(verdict, executions, produced, attribution, fifo=fifo)
    _drains(verdict, history, attribution, drains)
    for one in executions.all:
        if one.message_id not in history.deliveries:
            verdict.violate("unexpected", f"{one} ran, and was never given out")
    _conserve(verdict, history, produced, depth=depth)
    return verdict


def _total_queue(
    verdict: Verdict, produced: dict[int, Sent], by_id: dict[int, list[Execution]], *, dead: set[int]
) -> None:
    effective = {number for number, runs in by_id.items() if any(run.effect for run in runs)}
    confirmed = {number for number, one in produced.items() if one.outcome == "ok"}
    for number in sorted(confirmed - effective - dead):
        verdict.violate("lost", f"message {number} ({produced[number].message_id})")
    for number in sorted((by_id.keys() | dead) - produced.keys()):
        verdict.violate("unexpected", f"message {number}")
    for number in sorted(dead - by_id.keys()):
        verdict.violate("dead-lettered unstarted", f"message {number}")
    verdict.counts |= {
        "attempted": len(produced),
        "confirmed": len(confirmed),
        "effective": len(effective),
        "recovered": len((effective | dead) & produced.keys() - confirmed),
        "dead_lettered": len(dead),
        "executions": sum(map(len, by_id.values())),
        "effects": sum(bool(run.effect) for runs in by_id.values() for run in runs),
    }


def _effect_before_delete(
    verdict: Verdict, history: History, by_id: dict[int, list[Execution]], *, dead: set[int]
) -> None:
    """Catches an early ack even where nothing was lost by it."""
    earliest: dict[str, int] = {}
    excused = set()
    for number, runs in by_id.items():
        for run in runs:
            if run.effect:
                earliest[run.message_id] = min(run.effect, earliest.get(run.message_id, run.effect))
            if number in dead:
                excused.add(run.message_id)
    for message_id, moment in history.deleted.items():
        if message_id not in excused and earliest.get(message_id, moment + 1) > moment:
            verdict.violate("deleted before its effect", message_id)


def _duplicates(verdict: Verdict, by_id: dict[int, list[Execution]], attribution: Attribution) -> None:
    for number, runs in by_id.items():
        effects = sorted((run for run in runs if run.effect), key=lambda run: run.effect)
        for before, after in pairwise(effects):
            cause = attribution.repeat(before, after)
            verdict.duplicated[cause or "unattributed"] += 1
            if not cause:
                gap = (after.effect - before.effect) / 1e9
                verdict.violate("unattributed duplicate", f"message {number}, {gap:.3f} s later, {before} {after}")
    verdict.counts["duplicated"] = verdict.duplicated.total()


def _leases(verdict: Verdict, history: History, attribution: Attribution) -> None:
    for delivery in history.all_deliveries():
        if delivery.ending not in (Ending.LAPSED, Ending.PLANNED):
            continue
        cause = attribution.lapse(delivery)
        verdict.lapsed[cause or "unattributed"] += 1
        if not cause:
            verdict.violate("unattributed lapse", f"{delivery}")
    verdict.counts["lapsed"] = verdict.lapsed.total()


def _groups(
    verdict: Verdict, executions: Executions, produced: dict[int, Sent], attribution: Attribution, *, fifo: bool
) -> None:
    places = {number: (one.group if fifo else str(number), one.seq) for number, one in produced.items()}
    for before, after in meetings(executions.all, places):
        cause = attribution.overlap(before)
        verdict.met[cause or "unattributed"] += 1
        if not cause:
            verdict.violate("two at once", f"{before} and {after}")
    for newer, older in inversions(executions.all, places) if fifo else ():
        cause = attribution.overlap(newer) or attribution.overlap(older)
        verdict.inverted[cause or "unattributed"] += 1
        if not cause:
            verdict.violate("order inverted", f"{newer} before {older}")
    verdict.counts |= {"met": verdict.met.total(), "inverted": verdict.inverted.total()}


def _drains(verdict: Verdict, history: History, attribution: Attribution, drains: Sequence[Drain]) -> None:
    for drain in drains:
        if drain.code != 0:
            verdict.violate("unclean drain", f"exit code {drain.code}")
    left = 0
    for delivery in history.all_deliveries() if drains else ():
        for drain in drains:
            if delivery.begin < drain.end and not 0 < delivery.end <= drain.end:
                left += 1
                if not attribution.lapse(delivery):
                    verdict.violate("left in flight by a drain", f"{delivery}")
    verdict.counts["left_in_flight"] = left


def _conserve(verdict: Verdict, history: History, produced: dict[int, Sent], *, depth: int) -> None:
    """Every message that came in went out, or is there; every delivery ended in one way, or is open."""
    out = history.redriven | history.deleted.keys()
    verdict.messages = {
        "sent": len(history.sent),
        "deleted": len(history.deleted),
        "redriven": len(history.redriven - history.deleted.keys()),
        "left": depth,
    }
    endings = Counter(delivery.ending for delivery in history.all_deliveries())
    verdict.deliveries = {"assigned": endings.total(), **{ending.value: endings[ending] for ending in Ending}}
    if len(history.sent) != len(out) + depth or out - history.sent.keys():
        verdict.violate("conservation", f"messages do not add up: {verdict.messages}")
    for number, name in ((depth, "messages left"), (endings[Ending.OPEN], "deliveries open")):
        if number:
            verdict.violate("conservation", f"{number} {name} at the end")
    for one in produced.values():
        if one.outcome == "ok" and one.message_id not in history.sent:
            verdict.violate("conservation", f"message {one.id} was confirmed, and the broker never had it")
