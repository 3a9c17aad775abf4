"""Pure rules: which fault explains that a lease ran out, or that an effect happened again. Nothing else excuses it.

| what happened | what explains it |
|---|---|
| an effect again | a fault on the very process that had it, before that could say so: the message must be the last it ran. Each such fault explains one effect |
| an effect again | the same where the kernel took a process for the memory of another: one for each that eats |
| an effect again | the lease under which it happened ran out, and that is explained |
| an effect again | every process of the pool was killed at once within seconds of it: deletes were not confirmed yet |
| a lease ran out | the fault plan ended it |
| a lease ran out | the answer that brought it went wrong, by the fault plan, the network, or the death of who waited for it |
| a lease ran out | both heartbeats that were due in its last term were hit |
| a lease ran out | every process of the pool was killed at once, or the supervisor while its poller was dead: nobody was left who knew of it |

A SIGKILL of a poller alone explains neither: its successor goes on with its leases.
"""  # noqa: E501 - a table

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chaos.executions import Execution, by_pid
from chaos.history import Delivery, Ending, History
from chaos.logs import Fault, Poll

_SECOND = 1_000_000_000
#: Nanoseconds between an effect and its process's word of it, at most: a machine with too few cores takes its time.
_WORD = 1 * _SECOND
#: Between the moment at which the broker gives a message out and the one at which the poller has written it down.
_ARRIVAL = _SECOND // 2
#: The same for an answer that the fault plan holds back.
_DELAY = 1 * _SECOND
#: Between two processes' notes of the same moment.
_MOMENT = _SECOND // 5
#: From the SIGKILL of a supervisor till the kernel has taken it apart, and its handlers with it. They run on meanwhile.
_UNDOING = _SECOND // 10
#: From the death of a poller till its successor beats.
_SUCCESSION = 2 * _SECOND
#: After an effect, in which its delete may still be unconfirmed.
_CONFIRMING = 3 * _SECOND
#: Roles whose processes wait for the answers of receives.
_RECEIVING = {"poller", "tree"}


@dataclass(frozen=True, slots=True)
class Terms:
    """The times of the pool, in seconds."""

    visibility: float
    wait: float


class Attribution:
    """Finds explanations; each process that a fault hit explains one repeated effect only."""

    def __init__(
        self,
        history: History,
        executions: Iterable[Execution],
        faults: Sequence[Fault],
        *,
        polls: Sequence[Poll],
        terms: Terms,
    ) -> None:
        self._history = history
        self._third = int(terms.visibility * _SECOND / 3)
        self._wait = int(terms.wait * _SECOND)
        self._used: set[tuple[int, int]] = set()
        self._hits = by_pid(faults)
        # The limit is one for the whole pool: the kernel may take another process than the one that eats.
        self._meals = [fault for fault in faults if fault.kind == "memory"]
        self._takers = [fault for fault in faults if fault.kind == "network" or _stops(fault, _RECEIVING)]
        self._networks = [fault for fault in faults if fault.kind == "network"]
        # A supervisor that stands still replaces nobody. One that is dead does no harm: the poller beats on.
        self._standstills = [fault for fault in faults if _stops(fault, {"poller", "tree"}) or _stands(fault)]
        self._ends = ends(faults, polls)
        lapsed = {one.message_id for one in history.all_deliveries() if one.ending is Ending.LAPSED}
        self._starts: dict[str, list[int]] = {}
        for one in executions:
            if one.message_id in lapsed:
                self._starts.setdefault(one.message_id, []).append(one.start)
        self._missed = sorted(history.missed_beats)

    def lapse(self, delivery: Delivery) -> str:
        """Why this lease ran out; empty: nothing explains it."""
        if delivery.ending is Ending.PLANNED:
            return "broker lapse"
        request, begin = (delivery.connection, delivery.request), delivery.begin
        tampered, outcome = self._history.tampered.get(request), self._history.unheard.get(request)
        if tampered and tampered != "delay":
            return f"broker {tampered}"
        if end := _over(self._ends, begin, delivery.end):
            return _name(end)
        arrival = _ARRIVAL + (_DELAY if tampered else 0)
        # A long poll outlives its client: the broker gives messages to a socket that nobody reads any more.
        window = (begin - self._wait - _SECOND, begin + _MOMENT) if outcome else (begin - _MOMENT, begin + arrival)
        if not self._arrived(delivery) and (taker := _over(self._takers, *window)):
            return f"{taker.kind} {taker.role}, with the answer on its way"
        return self._beats_missed(delivery)

    def _arrived(self, delivery: Delivery) -> bool:
        """Whether the answer that brought it was read: it was extended, or started."""
        starts = self._starts.get(delivery.message_id, ())
        return delivery.beats > 0 or any(delivery.begin <= start <= delivery.end for start in starts)

    def _beats_missed(self, delivery: Delivery) -> str:
        """Two beats are due in a term. Whoever missed only one has no excuse, and what is over soon hits only one."""
        first, second = delivery.kept + self._third, delivery.kept + 2 * self._third
        for one in self._disturbing(first, second):
            for other in self._disturbing(second, delivery.end):
                if one is not other or one.end - one.begin >= self._third:
                    return f"beats missed: {one.kind} {one.role}, {other.kind} {other.role}"
        return ""

    def _disturbing(self, begin: int, end: int) -> list[Fault]:
        """What can have kept a beat from getting through in this time."""
        first, last = bisect_left(self._missed, begin), bisect_right(self._missed, end)
        beats = [Fault("broker", "beat", 0, ns, ns) for ns in self._missed[first:last][:1]]
        return [
            *beats,
            *(fault for fault in self._networks if fault.begin <= end and fault.end >= begin),
            *(fault for fault in self._standstills if fault.begin <= end and fault.end >= begin - _SUCCESSION),
        ]

    def repeat(self, before: Execution, after: Execution) -> str:
        """Why the effect of `before` happened once more in `after`; empty: nothing explains it."""
        for fault in (*self._hits.get(before.pid, ()), *self._meals):
            until = fault.end + (_UNDOING if fault.role == "supervisor" else _WORD if fault.kind == "stop" else 0)
            hit = fault.begin <= before.effect + _WORD and until >= before.effect
            once = (fault.begin, fault.pid if fault.kind == "memory" else before.pid)
            if hit and before.final and once not in self._used:
                self._used.add(once)
                return f"{fault.kind} {fault.role}, between effect and word"
        # The later effect can be that of the earlier start, whose lease ran out meanwhile.
        if cause := self.overlap(before) or self.overlap(after):
            return cause
        if end := _over(self._ends, before.effect, before.effect + _CONFIRMING):
            return f"{_name(end)}, delete unconfirmed"
        return ""

    def overlap(self, before: Execution) -> str:
        """Why somebody else could run a message, or the next of its group, while this one still ran."""
        delivery = self.delivery(before)
        if delivery is None or delivery.ending not in (Ending.LAPSED, Ending.PLANNED):
            return ""
        cause = self.lapse(delivery)
        return f"lease ran out: {cause}" if cause else ""

    def delivery(self, execution: Execution) -> Delivery | None:
        """The delivery that an execution ran under."""
        found = None
        for delivery in self._history.deliveries.get(execution.message_id, ()):
            if delivery.begin <= execution.start:
                found = delivery
        return found


def ends(faults: Sequence[Fault], polls: Sequence[Poll]) -> list[Fault]:
    """The faults after which nobody was left who knew of the leases.

    All processes were killed at once; or the supervisor was, between the death of the poller and the first receive of
    its successor: the lease table was the supervisor's memory by then, and nobody else's.
    """
    found = []
    dead_since = 0
    for fault in (fault for fault in faults if fault.kind in ("kill", "squeeze")):
        if fault.role == "poller":
            dead_since = dead_since or fault.begin
            if any(dead_since < poll.accepted < fault.begin for poll in polls):
                dead_since = fault.begin
        elif fault.kind == "kill" and fault.role == "tree":
            found.append(fault)
            dead_since = 0
        elif fault.kind == "kill" and fault.role == "supervisor":
            if dead_since and not any(dead_since < poll.accepted < fault.begin for poll in polls):
                found.append(fault)
            dead_since = 0
    return found


def _name(end: Fault) -> str:
    return f"{end.kind} {end.role}" + (" while its poller was dead" if end.role == "supervisor" else "")


def _stops(fault: Fault, roles: set[str]) -> bool:
    return fault.kind in ("kill", "stop", "squeeze") and fault.role in roles


def _stands(fault: Fault) -> bool:
    return fault.kind == "stop" and fault.role == "supervisor"


def _over(faults: Sequence[Fault], begin: int, end: int) -> Fault | None:
    """The last of them that overlaps with this time: the nearest is the likeliest."""
    return next((fault for fault in reversed(faults) if fault.begin <= end and fault.end >= begin), None)
