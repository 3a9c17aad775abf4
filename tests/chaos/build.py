"""What the oracle's tests are built from: the three logs of a small run, and what may be wrong in them."""

from __future__ import annotations

from typing import Any

from chaos import executions, history, oracle
from chaos.attribution import Terms
from chaos.logs import Drain, Fault, Poll, Sent, Step

SECOND = 1_000_000_000
VISIBILITY = 9.0
TERMS = Terms(visibility=VISIBILITY, wait=1.0)


class Run:
    """A run in which nothing goes wrong until a test says so. Message 7 has the message id "m7"; times are seconds."""

    def __init__(self, *, fifo: bool = False) -> None:
        self.fifo = fifo
        self.sent: list[Sent] = []
        self.steps: list[Step] = []
        self.events: list[dict[str, Any]] = []
        self.faults: list[Fault] = []
        self.drains: list[Drain] = []
        self.polls: list[Poll] = []
        self.dead: list[int] = []
        self.depth = 0

    # --- the producer

    def send(self, *numbers: int, at: float = 0.0, outcome: str = "ok", group: str = "-") -> None:
        """The producer sends these, and the broker takes them."""
        for number in numbers:
            self.attempt(number, outcome=outcome, group=group)
            self.event("send", at, number)

    def attempt(self, number: int, *, outcome: str = "ok", group: str = "-") -> None:
        """The producer's word alone."""
        message_id = f"m{number}" if outcome == "ok" else "-"
        self.sent.append(Sent(number, group, len(self.sent), outcome, message_id, 0))

    # --- the broker

    def event(self, event: str, at: float, number: int = 0, **fields: Any) -> None:
        """A line of the broker's log."""
        row = {"event": event, "ns": int(at * SECOND), "queue": "work", "message_id": f"m{number}"}
        self.events.append(row | fields)

    def assign(self, number: int, at: float, *, connection: int = 1, request: int = 1) -> None:
        """The broker gives it out."""
        self.event("assign", at, number, connection=connection, request=request)

    def delete(self, number: int, at: float, *, outcome: str = "done") -> None:
        """Somebody deletes it."""
        self.event("delete", at, number, outcome=outcome)

    def hide(self, number: int, at: float, seconds: float = VISIBILITY) -> None:
        """Somebody changes its visibility; without `seconds` that is a heartbeat."""
        self.event("visibility", at, number, seconds=seconds, outcome="done")

    def expire(self, number: int, at: float, **fields: Any) -> None:
        """Its lease runs out."""
        self.event("expire", at, number, **fields)

    def hit(self, effect: str, action: str, at: float, *, connection: int = 1, request: int = 1) -> None:
        """The broker's fault plan hits a request."""
        self.event("fault", at, effect=effect, action=action, connection=connection, request=request)

    # --- the handler functions

    def boot(self, at: float, *, pid: int = 1) -> None:
        """A process begins."""
        self.steps.append(Step("boot", 0, "-", 0, pid, int(at * SECOND)))

    def work(self, number: int, start: float, end: float | None = None, *, pid: int = 1) -> None:
        """A handler process runs it; without `end` it has no effect."""
        self.steps.append(Step("start", number, f"m{number}", 1, pid, int(start * SECOND)))
        if end is not None:
            self.steps.append(Step("end", number, f"m{number}", 1, pid, int(end * SECOND)))

    # --- the faults

    def fault(
        self, kind: str, role: str, at: float, *, until: float = 0.0, pid: int = 0, victims: tuple[int, ...] = ()
    ) -> None:
        """The storm strikes."""
        self.faults.append(Fault(kind, role, pid, int(at * SECOND), int(max(at, until) * SECOND), victims))

    def poll(self, at: float) -> None:
        """A new connection receives for the first time."""
        self.polls.append(Poll(int(at * SECOND), int(at * SECOND)))

    # --- whole ways

    def handle(self, number: int, at: float, *, pid: int = 1, request: int = 0) -> None:
        """Given out, run for half a second, deleted."""
        self.assign(number, at, request=request or number)
        self.work(number, at + 0.1, at + 0.6, pid=pid)
        self.delete(number, at + 0.7)

    def verdict(self) -> oracle.Verdict:
        """What the oracle says."""
        events = sorted(self.events, key=lambda event: int(event["ns"]))
        return oracle.judge(
            sent=self.sent,
            history=history.read(events, "work", visibility=VISIBILITY),
            executions=executions.read(self.steps, self.faults),
            faults=sorted(self.faults, key=lambda fault: fault.begin),
            terms=TERMS,
            polls=self.polls,
            dead=self.dead,
            drains=self.drains,
            depth=self.depth,
            fifo=self.fifo,
        )

    def violations(self) -> set[str]:
        """The kinds of violations that the oracle finds."""
        return set(self.verdict().violations)
