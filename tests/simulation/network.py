"""Test process: the way between one poller and the server: requests and answers take time, get stuck, and time out."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass

from tests.simulation.hub import Hub
from tests.simulation.journal import Journal
from worker.policy.failures import Failure, FailureKind
from worker.policy.requests import Answer, Delete, Hide, Receive, Request
from worker.poller.heartbeater import Beat
from worker.testing.simulated_sqs import Call, SimulatedServer, SimulatedSqs
from worker.testing.sqs_server.replies import Carriage, Reply

#: Seconds that a request and its answer take together, mostly.
ROUND_TRIP = (0.002, 0.02)


@dataclass(slots=True, eq=False)
class Flight:
    """A request whose answer the client still waits for."""

    call: Call
    kind: str
    deadline: float  #: the client waits no longer
    due: float = float("inf")  #: when the answer is there
    answer: Answer | None = None


def kind_of(request: Request) -> str:
    """By which a clog names requests."""
    if isinstance(request, Receive):
        return "receive"
    return "delete" if isinstance(request, Delete) else "hide" if isinstance(request, Hide) else "send"


class Line(SimulatedSqs):
    """All connections of one poller process. `changed` is called when it may be able to read something."""

    def __init__(
        self,
        hub: Hub,
        server: SimulatedServer,
        url: str,
        *,
        connection: int,
        journal: Journal,
        pump: Callable[[], None],
    ) -> None:
        super().__init__(server, url, round_trip=lambda: 0.0, connection=connection)
        self._hub = hub
        self._journal = journal
        self._pump = pump
        self._flights: list[Flight] = []
        self._held: list[Flight] = []  #: requests that are stuck on their way to the server
        self.connection = connection
        self.stuck_requests: set[str] = set()  #: kinds
        self.stuck_answers: set[str] = set()
        self.changed: Callable[[], None] = lambda: None
        self.dead = False

    def start(self, request: Request, token: object) -> None:
        """The request leaves; it may be the last thing that its process does."""
        hub = self._hub
        release = isinstance(request, Hide) and not isinstance(token, Beat)
        deed = "release" if release else kind_of(request)
        hub.point(deed)
        call = Call(request, token, hub.now)
        flight = Flight(call, kind_of(request), hub.now + self.timeout(request))
        if isinstance(request, Hide) and release:
            for receipt, _ in request.entries:
                self._journal.released(receipt, self.connection)
        if isinstance(request, Receive):
            self.receiving += 1
        else:
            self.settling += 1
        self._flights.append(flight)
        hub.after(self._half_trip(), lambda: self._depart(flight))
        hub.at(flight.deadline, self._look)
        hub.point(deed)

    def _half_trip(self) -> float:
        low, high = ROUND_TRIP
        return (low + (high - low) * self._hub.chance.random()) / 2

    def _depart(self, flight: Flight) -> None:
        if flight.kind in self.stuck_requests:
            self._held.append(flight)
            return
        self._reach(flight.call)
        self._pump()

    def _arrive(self, call: Call, reply: Reply) -> None:
        flight = next((one for one in self._flights if one.call is call), None)
        if flight is None or self.dead or reply.carriage in (Carriage.SILENCE, Carriage.TRICKLE):
            return
        flight.answer = self._read(call, reply)
        flight.due = self._hub.now + reply.delay + self._half_trip()
        self._hub.at(flight.due, self._look)

    def _look(self) -> None:
        if not self.dead:
            self.changed()

    def _moment(self, flight: Flight) -> float:
        return flight.deadline if flight.kind in self.stuck_answers else min(flight.due, flight.deadline)

    def next_arrival(self) -> float:
        return min(map(self._moment, self._flights), default=float("inf"))

    def answers(self) -> list[Answer]:
        now = self._hub.now
        ready = [flight for flight in self._flights if self._moment(flight) <= now]
        return [self._take(flight) for flight in sorted(ready, key=self._moment)]

    def _take(self, flight: Flight) -> Answer:
        self._flights.remove(flight)
        call = flight.call
        if isinstance(call.request, Receive):
            self.receiving -= 1
        else:
            self.settling -= 1
        answer = flight.answer
        if answer is None or flight.kind in self.stuck_answers or flight.due > flight.deadline:
            failure = Failure(FailureKind.TRANSIENT, "ReadTimeoutError", "no answer in time")
            return Answer(call.token, call.request, call.sent_at, failure=failure)
        self._tell_journal(answer)
        return answer

    def _tell_journal(self, answer: Answer) -> None:
        request = answer.request
        if isinstance(request, Receive):
            for message in answer.messages:
                self._journal.leased(message.receipt, answer.sent_at + request.visibility)
        elif isinstance(request, Hide) and isinstance(answer.token, Beat):
            for (receipt, seconds), failure in zip(request.entries, answer.entries, strict=False):
                if failure is None:
                    self._journal.leased(receipt, answer.sent_at + seconds)

    def unstick(self) -> None:
        """Everything flows again."""
        self.stuck_requests.clear()
        self.stuck_answers.clear()
        self.flow()

    def flow(self) -> None:
        """What is not stuck any more goes on."""
        held, self._held = self._held, []
        for flight in held:
            self._depart(flight)
        self._look()

    def cut(self, *, noticed: bool) -> None:
        """The process is dead. What it sent arrives; whether the server ends its long polls is `noticed`."""
        self.dead = True
        if noticed:
            for _, poll, _ in self._waiting.values():
                self._server.broker.polls.drop(poll)
        self.close()


class Pump:
    """Ends the server's long polls when that is due."""

    def __init__(self, hub: Hub, server: SimulatedServer) -> None:
        self._hub = hub
        self._server = server
        self._scheduled: list[float] = []

    def __call__(self) -> None:
        """Something was asked of the server, or its time has come."""
        hub, broker = self._hub, self._server.broker
        for poll, answer in broker.complete(hub.now):
            owner = poll.owner
            assert isinstance(owner, Line)
            owner.finish(poll, answer)
        moment = broker.next_moment()
        if moment is not None and (not self._scheduled or moment < self._scheduled[0]):
            heapq.heappush(self._scheduled, moment)
            hub.at(moment, self._due)

    def _due(self) -> None:
        heapq.heappop(self._scheduled)
        self()
