"""Test process: bugs to be put into the shipped code, each of them one that somebody could write."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from worker.handler.stream import Stream
from worker.message import Kind
from worker.policy import arrivals, beats, outcomes
from worker.policy.delivery import Action, Delivery, Settlement, State
from worker.policy.ledger import Ledger
from worker.policy.ordering import GroupLine
from worker.poller import boot
from worker.poller.dispatcher import Dispatcher
from worker.poller.settler import Settler
from worker.poller.stopping import Stopping
from worker.supervisor import stopping
from worker.supervisor.processes import Processes
from worker.supervisor.tree import Budget, QueueSet

if TYPE_CHECKING:
    import pytest  # a pool of the chaos runs takes these bugs as well, and has no pytest

#: Puts a bug in.
Put = Callable[["pytest.MonkeyPatch"], None]
KILLS = ("handler killed", "poller killed", "several killed")
POLLER, RELEASING, DUPLICATES = ("poller killed",), ("poller killed releasing",), ("server: duplicate",)
#: Calls whose answers say that they were not obeyed, or that say nothing.
REFUSALS = ("server: fail_entries", "server: omit_entries", "server: unavailable", "server: drop")
_DELETE = Settlement(Action.DELETE, Kind.ACK)


@dataclass(frozen=True, slots=True)
class Bug:
    """`faults` and the `mix` of messages bring it to light, where some are needed; `fifo` is the kind of queue."""

    name: str
    put: Put
    fifo: bool = False
    faults: tuple[str, ...] = ()
    mix: str = ""


def _instead(owner: Any, name: str, function: Any) -> Put:
    return lambda monkeypatch: monkeypatch.setattr(owner, name, function)


def _around(owner: Any, name: str, make: Callable[[Any], Any]) -> Put:
    """`make` gets what is there, and gives what stands in its place."""
    return _instead(owner, name, make(getattr(owner, name)))


def _and_then(function: Callable[[Ledger, Delivery], None]) -> Callable[[Any], Any]:
    def make(original: Any) -> Any:
        def dispatch(ledger: Ledger, delivery: Delivery, handler: int) -> None:
            original(ledger, delivery, handler)
            function(ledger, delivery)

        return dispatch

    return make


def _all_confirmed(original: Any) -> Any:
    """A batch that answered 200 counts as done: its Failed is not read."""

    def answered(self: Settler, answer: Any, batch: Any, now: float) -> None:
        entries = (None,) * len(batch.deliveries) if answer.failure is None else ()
        original(self, replace(answer, entries=entries), batch, now)

    return answered


def _gone_at_the_call(original: Any) -> Any:
    """The record leaves when the delete is sent."""

    def begin(self: Ledger, delivery: Delivery) -> bool:
        begun: bool = original(self, delivery)
        if begun and delivery.settlement is not None and delivery.settlement.action is Action.DELETE:
            self.gone(delivery, "deleted")
        return begun

    return begin


def _all_may_start(original: Any) -> Any:
    """Whatever arrives stands in the line, whoever of its group is before it."""

    def add(self: GroupLine, delivery: Delivery) -> None:
        original(self, delivery)
        if delivery not in self._line:
            self._line.append(delivery)

    return add


def _newest_replaces(ledger: Ledger, delivery: Delivery) -> bool:
    """A second delivery takes the first one's place in the index, and runs as well."""
    ledger.by_id[delivery.message_id] = delivery
    return False


def _exits_at_once(self: Stopping, now: float) -> float:
    """Draining is over when it begins."""
    if self._state.draining and self.code is None:
        self._finish(0, unconfirmed=0)
    return min(float("inf"), now + 1.0)


def _deaths_are_acks(ledger: Ledger, handler: int, running: set[int], **_: Any) -> None:
    for delivery in [one for one in ledger.deliveries.values() if one.handler == handler]:
        if delivery.state is State.DISPATCHED:
            ledger.settle(delivery, _DELETE)


def _rejects_are_deleted(ledger: Ledger, delivery: Delivery, *_: Any, **__: Any) -> None:
    ledger.settle(delivery, _DELETE)


def _waits_aside(original: Any) -> Any:
    """A message that is to be retried makes way for those behind it."""

    def wait(self: Ledger, delivery: Delivery, seconds: float, *, now: float) -> None:
        original(self, delivery, seconds, now=now)
        self.line.leave(delivery)

    return wait


def _forgets_what_it_told(original: Any) -> Any:
    """A successor hears only what is told from then on."""

    def attach(self: Stream, channel: Any) -> None:
        self._told.clear()
        self._unconfirmed.clear()
        original(self, channel)

    return attach


def _never_sent(original: Any) -> Any:
    """Beats fall due, and nobody sends them."""

    def due(ledger: Ledger, now: float, *, most: int) -> list[Any]:
        for delivery, _ in original(ledger, now, most=most):
            delivery.calling = False
        return []

    return due


def _deaf_to_deaths(original: Any) -> Any:
    def send(self: Processes, child: Any, kind: Any, header: Any = None) -> None:
        if kind.name != "DIED":
            original(self, child, kind, header)

    return send


def _released_twice(original: Any) -> Any:
    def adopted(ledger: Ledger, delivery: Delivery, *, running: bool, kind: Kind | None) -> None:
        original(ledger, delivery, running=running, kind=None if kind is Kind.RETRY else kind)

    return adopted


def _killed_at_once(original: Any) -> Any:
    """What is to drain gets no time."""

    def retire(queue_set: QueueSet, times: Budget) -> None:
        original(queue_set, replace(times, kill_at=0.0))

    return retire


def _nothing(*_: Any, **__: Any) -> None:
    """Instead of what should be done."""


BUGS: Iterable[Bug] = (
    Bug("early delete", _around(outcomes, "_dispatch", _and_then(lambda ledger, one: ledger.settle(one, _DELETE)))),
    Bug("done before it ran", _around(outcomes, "_dispatch", _and_then(Ledger.remember)), faults=KILLS),
    Bug("Failed is not read", _around(Settler, "answered", _all_confirmed), faults=("server: fail_entries",)),
    Bug("lease dropped before the delete", _around(Ledger, "begin", _gone_at_the_call), faults=REFUSALS),
    Bug("several of a group at once", _around(GroupLine, "add", _all_may_start), fifo=True),
    Bug("a group goes on behind a retry", _around(Ledger, "wait", _waits_aside), fifo=True),
    Bug(
        "a newer receipt replaces the older",
        _instead(arrivals, "_parked", _newest_replaces),
        faults=("server: duplicate",),
    ),
    Bug("exit before the flush", _instead(Stopping, "step", _exits_at_once)),
    Bug("no heartbeats", _around(beats, "due", _never_sent)),
    Bug("the ring is not read", _instead(Dispatcher, "_hear_ring", _nothing), faults=KILLS),
    Bug(
        "an outcome of an older start counts",
        _instead(Dispatcher, "_current", lambda *_: True),
        fifo=True,
        faults=POLLER,
        mix="retries",
    ),
    Bug("a death is an ack", _instead(outcomes, "died", _deaths_are_acks), faults=("handler killed",)),
    Bug("a reload kills what runs", _around(stopping, "retire", _killed_at_once), faults=("reload",), mix="slow"),
    Bug("no quarantine", _instead(outcomes, "CRASHES", 1_000_000), mix="deaths"),
    Bug("a reject is a delete", _instead(outcomes, "_reject", _rejects_are_deleted)),
    Bug("a successor adopts nothing", _instead(boot, "adopt", lambda *_, **__: 0), faults=POLLER),
    Bug(
        "outcomes are told once",
        _around(Stream, "attach", _forgets_what_it_told),
        faults=POLLER,
        mix="sends",
    ),
    Bug("deaths are not told to pollers", _around(Processes, "send", _deaf_to_deaths), faults=("handler killed",)),
    Bug(
        "a release is made twice",
        _around(arrivals, "adopted", _released_twice),
        faults=RELEASING,
        mix="retries",
    ),
)
