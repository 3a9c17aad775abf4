"""Test process: the users' handler function of every simulated handler, and the log of its effects."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import orjson

from worker.message import Forward, LeaseLost, Message, Reject, Retry, SoftTimeout

if TYPE_CHECKING:
    from tests.simulation.programs import HandlerProcess

T = TypeVar("T")

#: Seconds of a handler function that hangs, and those by which others extend their deadline: longer than any takes.
FOR_EVER, EXTENDED = 100_000.0, 40.0
#: What messages ask for, how long they take in seconds, and how often they fail first, each with its weight.
WISHES = {"ack": 80, "forward": 8, "reject": 5, "poison": 2, "exit": 2, "hang": 1, "deaf": 1}
TAKES = {0.002: 50, 0.05: 25, 0.5: 15, 5.0: 7, 20.0: 2}
FAILURES = {0: 84, 1: 10, 3: 3, 6: 2}
PADDING = {0: 95, 3_000: 4, 200_000: 1}
#: Where a message that asks to be rejected has no dead-letter queue to go to, it does so that often.
REJECTED_FIRST = 2


@dataclass(frozen=True, slots=True)
class Mix:
    """What the messages of one world are like: a world of one sort finds what an average of all sorts does not."""

    wishes: dict[str, int] = field(default_factory=lambda: WISHES)
    takes: dict[float, int] = field(default_factory=lambda: TAKES)
    failures: dict[int, int] = field(default_factory=lambda: FAILURES)


#: By name; their names are drawn.
MIXES = {
    "ordinary": Mix(),
    "quick": Mix({"ack": 90, "forward": 5, "reject": 5}, {0.002: 80, 0.05: 20}, {0: 1}),
    "slow": Mix(takes={0.5: 40, 5.0: 30, 20.0: 8}),
    "retries": Mix({"ack": 90, "forward": 5, "reject": 5}, failures={0: 30, 1: 40, 3: 20, 6: 10}),
    "sends": Mix({"ack": 20, "forward": 45, "reject": 35}),
    "deaths": Mix({"ack": 60, "poison": 12, "exit": 16, "hang": 6, "deaf": 6}),
}


@dataclass(frozen=True, slots=True)
class Order:
    """What a message makes its handler function do."""

    number: int
    do: str = "ack"  #: ack, forward, reject, poison; once: exit, hang, deaf
    takes: float = 0.01  #: seconds
    failures: int = 0  #: attempts that end by a retry or an exception first
    padding: int = 0  #: bytes

    def body(self) -> str:
        """The message's body."""
        return orjson.dumps([self.number, self.do, self.takes, self.failures, "x" * self.padding]).decode()


def draw(chance: random.Random, count: int, *, mix: Mix) -> list[Order]:
    """Orders 0 to count - 1."""

    def one(weights: dict[T, int]) -> T:
        return chance.choices(list(weights), list(weights.values()))[0]

    return [Order(number, one(mix.wishes), one(mix.takes), one(mix.failures), one(PADDING)) for number in range(count)]


def read(body: bytes) -> Order:
    """The order of a body."""
    number, do, takes, failures, padding = orjson.loads(body)
    return Order(number, do, takes, failures, len(padding))


@dataclass(slots=True, eq=False)
class Run:
    """One start of the handler function on a message: a line of the effect log."""

    number: int
    message_id: str
    group: str
    receives: int  #: the receive count it was given with
    handler: str
    started: float
    effect: float | None = None
    ended: float | None = None  #: it returned or raised; None: its process died with it, or it still runs
    outcome: str = ""
    recorded: bool = False  #: the outcome is in shared memory

    def __str__(self) -> str:
        return f"run of {self.number} (receive {self.receives}) by {self.handler}"


class Application:
    """One for the whole world: the effect log is on no machine."""

    def __init__(self, chance: random.Random, *, forward_to: str, dead_letters: bool) -> None:
        self.runs: list[Run] = []
        self._chance = chance
        self._forward_to = forward_to
        self._mercy = 1_000_000 if dead_letters else REJECTED_FIRST
        self._starts: dict[int, int] = {}

    def handle(self, process: HandlerProcess, message: Message) -> Forward | None:
        """The handler function."""
        order, now = read(message.body), process.hub.clock
        run = Run(order.number, message.id, message.group or "", message.receive_count, process.name, now())
        self.runs.append(run)
        process.current = run
        process.hub.tell(f"{run} starts")
        self._starts[order.number] = starts = self._starts.get(order.number, 0) + 1
        try:
            answer = self._do(process, message, order=order, run=run, starts=starts)
        except Retry:
            self._end(process, run, "retry")
            raise
        except Reject:
            self._end(process, run, "reject")
            raise
        except SoftTimeout:
            self._end(process, run, "overdue")
            raise
        except Exception:
            self._end(process, run, "exception")
            raise
        self._end(process, run, "forward" if answer else "ack")
        return answer

    def _do(self, process: HandlerProcess, message: Message, *, order: Order, run: Run, starts: int) -> Forward | None:
        chance = self._chance
        takes = order.takes * (0.5 + chance.random())
        before = takes * chance.random()
        process.sleep(before)
        if chance.random() < 0.1:
            self._extend(message)
        if order.do == "poison" and starts <= self._mercy:
            process.die()
        if order.do == "exit" and starts <= 1:
            raise SystemExit(0)
        if order.do == "hang" and starts <= 1:
            process.sleep(FOR_EVER)
        while order.do == "deaf" and starts <= 1:
            with suppress(SoftTimeout):
                process.sleep(FOR_EVER)
        if starts <= order.failures:
            self._fail()
        if order.do == "reject" and starts <= self._mercy:
            raise Reject("told to")
        run.effect = process.hub.now
        process.hub.tell(f"{run} effect")
        process.sleep(takes - before)
        if order.do == "forward":
            return Forward(queue=self._forward_to, body=orjson.dumps(order.number))
        return None

    def _fail(self) -> None:
        draw = self._chance.random()
        if draw < 0.3:
            raise Retry(after=0)
        if draw < 0.5:
            raise Retry(after=3.0 * self._chance.random())
        if draw < 0.8:
            raise Retry
        raise ValueError("told to")

    def _extend(self, message: Message) -> None:
        try:
            message.extend(EXTENDED)
        except LeaseLost:
            if self._chance.random() < 0.5:
                raise

    def _end(self, process: HandlerProcess, run: Run, outcome: str) -> None:
        run.ended, run.outcome = process.hub.now, outcome
        process.hub.tell(f"{run} ends: {outcome}")
