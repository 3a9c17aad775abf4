"""Test process: a supervisor whose processes are rows of a table and whose time is a number. It replays histories."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from worker.channel import PROTOCOL
from worker.protocol import ControlFrame
from worker.settings import QueueSettings, Settings
from worker.slots import ChildState, HandlerFacts, PollerFacts, Running
from worker.supervisor import deaths, frames, signals, turn, verbs
from worker.supervisor.deaths import End
from worker.supervisor.pool import Pool
from worker.supervisor.tree import Child, QueueSet, Role
from worker.telemetry import COUNTERS, Log

#: Seconds of the clock at which every history begins.
START = 1000.0
#: More turns than any history needs in one advance of its clock: a rule that never rests fails the test.
MOST_TURNS = 2000


@dataclass
class Row:
    """One process of the table."""

    child: Child
    setup: Mapping[str, Any]
    sent: list[tuple[str, Any]] = field(default_factory=list)
    signals: list[signal.Signals] = field(default_factory=list)
    killed: bool = False
    buried: bool = False
    running: list[Running] = field(default_factory=list)
    done: int = 0
    progress: float | None = None  #: None: as of now
    received_at: float | None = None
    counters: dict[str, int] = field(default_factory=dict)
    awaits: str = ""
    busy_until: float = 0.0
    empty_since: float = 0.0
    stacks: str = ""


class Table:
    """An `Outside` that remembers what was asked of it."""

    def __init__(self) -> None:
        self.now = START
        self.rows: dict[int, Row] = {}
        self.did: list[str] = []
        self.links: dict[int, tuple[Child, Child]] = {}
        self.dissolved: list[QueueSet] = []
        self.spawn_problem = ""
        self.link_problem = ""
        self.spawned_at: list[float] = []
        self.strangers: set[int] = set()  #: pids that are no children of the supervisor

    def spawn(self, child: Child, setup: Mapping[str, Any]) -> str:
        self.spawned_at.append(self.now)
        if self.spawn_problem:
            return self.spawn_problem
        child.pid = 5000 + child.uid
        self.rows[child.uid] = Row(child, setup)
        self.did.append(f"spawn {name(child)}")
        return ""

    def fork(self, child: Child, setup: Mapping[str, Any], *, template: Child) -> str:
        assert template.phase == "serving"
        self.spawned_at.append(self.now)
        if self.spawn_problem:
            return self.spawn_problem
        self.rows[child.uid] = Row(child, setup)
        self.did.append(f"fork {name(child)}")
        return ""

    def adopt(self, child: Child, pid: int) -> bool:
        if pid in self.strangers:
            return False
        child.pid = pid
        self.did.append(f"adopt {name(child)}")
        return True

    def send(self, child: Child, kind: ControlFrame, header: Any = None) -> None:
        self.rows[child.uid].sent.append((kind.name, header))
        self.did.append(f"{kind.name} {name(child)}")

    def link(self, number: int, *, poller: Child, handler: Child) -> str:
        assert not self.rows[poller.uid].buried
        assert not self.rows[handler.uid].buried
        if self.link_problem:
            return self.link_problem
        self.links[number] = (poller, handler)
        self.did.append(f"link {name(poller)} {name(handler)}")
        return ""

    def attached(self, number: int, child: Child) -> None:
        self.did.append(f"attached {number} {name(child)}")

    def signal(self, child: Child, number: signal.Signals) -> None:
        self.rows[child.uid].signals.append(number)
        self.did.append(f"{number.name} {name(child)}")

    def kill(self, child: Child) -> None:
        self.rows[child.uid].killed = True
        self.did.append(f"kill {name(child)}")

    def running(self, handler: Child) -> list[Running]:
        return self.rows[handler.uid].running

    def handler_facts(self, handler: Child) -> HandlerFacts:
        row = self.rows[handler.uid]
        return HandlerFacts(handler.pid, ChildState.READY, row.done, 0, 1.5, 1 << 20, self.now)

    def poller_facts(self, poller: Child) -> PollerFacts:
        row = self.rows[poller.uid]
        progress = self.now if row.progress is None else row.progress
        received_at = self.now if row.received_at is None else row.received_at
        counters = {counter: row.counters.get(counter, 0) for counter in COUNTERS}
        facts = PollerFacts(poller.pid, ChildState.READY, progress, received_at, 0.0, counters)
        return facts._replace(awaits=row.awaits, busy_until=row.busy_until, empty_since=row.empty_since)

    def stacks(self, child: Child) -> str:
        row = self.rows[child.uid]
        text, row.stacks = row.stacks, ""
        return text

    def bury(self, child: Child) -> None:
        assert not self.rows[child.uid].buried, "buried twice"
        self.rows[child.uid].buried = True

    def dissolve(self, queue_set: QueueSet) -> None:
        self.dissolved.append(queue_set)


class RecordingLog(Log):
    """Keeps events instead of writing them."""

    def __init__(self) -> None:
        super().__init__("debug", human=False)
        self.events: list[tuple[str, str, dict[str, Any]]] = []

    def _open(self) -> None:
        """Nothing is written, so nothing is opened."""

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        self.events.append((level, event, fields))

    def named(self, event: str) -> list[dict[str, Any]]:
        return [fields for _, name, fields in self.events if name == event]


class History:
    """A pool, and what happens to it. Every event is followed by a turn, as in the real loop."""

    def __init__(self, *queues: QueueSettings, reload: Callable[[], Settings] | None = None, **keys: Any) -> None:
        self.table, self.log = Table(), RecordingLog()
        self.settings = Settings(name="shop", queues=queues or (queue(),), **keys)
        self.pool = Pool(
            settings=self.settings,
            outside=self.table,
            log=self.log,
            read_settings=reload or (lambda: self.settings),
            pid=4242,
            started_at=START,
        )
        self.sleep = 0.0
        turn.begin(self.pool, self.settings, now=START)
        self.turn()

    @property
    def now(self) -> float:
        return self.table.now

    @property
    def did(self) -> list[str]:
        """What the rules have done since this was last asked."""
        did, self.table.did = self.table.did, []
        return did

    def turn(self) -> None:
        if self.pool.exit_code is None:
            self.sleep = turn.step(self.pool, now=self.now, chance=0.5)

    def after(self, seconds: float) -> None:
        """Let time pass; the rules wake when they said they would."""
        end = self.now + seconds
        for _ in range(MOST_TURNS):
            if self.pool.exit_code is not None or self.now + self.sleep > end:
                break
            self.table.now += self.sleep
            self.turn()
        else:
            raise AssertionError(f"more than {MOST_TURNS} turns in {seconds} s")
        self.table.now = end
        self.turn()

    def ready(self, *children: Child) -> None:
        for child in children:
            self.says(child, ControlFrame.READY, {"protocol": PROTOCOL})

    def says(self, child: Child, kind: ControlFrame, header: Any) -> None:
        frames.heard(self.pool, child, kind=kind, header=header, now=self.now)
        self.turn()

    def die(self, *children: Child, code: int = 0, by: int = 0) -> None:
        """These children die, and are reaped in one go, pollers first, as the reaper does."""
        for child in sorted(children, key=lambda child: child.role is Role.HANDLER):
            deaths.died(self.pool, child, End(by or code << 8, 123), now=self.now, chance=0.5)
        self.turn()

    def reap_killed(self) -> None:
        """Whoever was killed is reaped."""
        self.die(*[child for child in self.pool.children() if child.pid and self.row(child).killed], by=9)

    def signal(self, number: signal.Signals) -> None:
        signals.handle(self.pool, number, now=self.now)
        self.turn()

    def ask(self, line: str) -> dict[str, Any]:
        answers: list[dict[str, Any]] = []
        verbs.ask(self.pool, line.encode(), answers.append, now=self.now)
        self.turn()
        return answers[0] if answers else {}

    def row(self, child: Child) -> Row:
        return self.table.rows[child.uid]

    def set(self, name: str = "orders", *, generation: int = 1) -> QueueSet:
        return next(s for s in self.pool.sets if s.queue.name == name and s.generation == generation)

    def poller(self, number: int = 0, *, of: QueueSet | None = None) -> Child:
        return (of or self.pool.sets[0]).pollers[number]

    def handlers(self, *phases: str, of: QueueSet | None = None) -> list[Child]:
        """The living handlers, by number; of these phases only, if any are named."""
        handlers = (of or self.pool.sets[0]).handlers.values()
        return sorted((h for h in handlers if not phases or h.phase in phases), key=lambda h: (h.number, h.uid))

    def handler(self, number: int, *, of: QueueSet | None = None) -> Child:
        return next(h for h in self.handlers(of=of) if h.number == number)

    def template(self, *, of: QueueSet | None = None) -> Child:
        found = (of or self.pool.sets[0]).template
        assert found is not None
        return found

    def forked(self, *handlers: Child) -> None:
        """Their templates have forked these handlers."""
        for handler in handlers:
            self.says(
                self.template(of=handler.queue_set),
                ControlFrame.FORKED,
                {"uid": handler.uid, "pid": 7000 + handler.uid},
            )

    def all_ready(self) -> None:
        """Everybody who boots gets ready; templates fork whom they were asked for."""
        for queue_set in self.pool.sets:
            if queue_set.template and queue_set.template.phase == "starting":
                self.ready(queue_set.template)
            self.forked(*queue_set.unborn())
        for child in self.pool.children():
            if child.phase == "starting":
                self.ready(child)

    def drained(self, poller: Child, *, unconfirmed: int = 0) -> None:
        """A poller has settled, says so, and exits."""
        self.says(poller, ControlFrame.DRAINED, {"unconfirmed": unconfirmed})
        self.die(poller, code=75 if unconfirmed else 0)

    def stop_obeyed(self) -> None:
        """Every handler that was told to stop exits; whoever was killed is reaped."""
        self.reap_killed()
        told = [h for h in self.pool.children() if ("STOP", None) in self.row(h).sent]
        self.die(*told, code=0)


def queue(name: str = "orders", **keys: Any) -> QueueSettings:
    keys = {"handler": "shop:place", "queue_name": name, "handlers": 2, **keys}
    return QueueSettings(name=name, **keys)


def name(child: Child) -> str:
    """A child in what the rules did: poller 0, handler #7 (uids do not change when a spare takes a place)."""
    if child.role is Role.TEMPLATE:
        return "template"
    return f"poller {child.number}" if child.role is Role.POLLER else f"handler #{child.uid}"


def running(history: History, handler: Child, *, seq: int = 7, deadline: float) -> None:
    """A handler function runs on a message."""
    history.row(handler).running = [Running(seq, history.now, deadline)]
