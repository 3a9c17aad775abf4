"""Test process: the strict SQS server under a virtual clock, behind the poller's own port. No socket, no thread."""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from worker.aws import payloads
from worker.aws.errors import entry_failure
from worker.policy.failures import UNTOLD, Failure, FailureKind, classify
from worker.policy.requests import Answer, Delete, Depth, Hide, Look, Outgoing, Receive, Request
from worker.testing.sqs_server import limits
from worker.testing.sqs_server.broker import Broker, Caller, Options
from worker.testing.sqs_server.errors import SqsError
from worker.testing.sqs_server.events import EventLog
from worker.testing.sqs_server.ids import Ids
from worker.testing.sqs_server.long_polls import LongPoll
from worker.testing.sqs_server.replies import Carriage, Reply
from worker.testing.sqs_server.service import Afterwards, Service

#: What a Look asks for.
_DEPTH = tuple(f"ApproximateNumberOfMessages{suffix}" for suffix in ("", "NotVisible", "Delayed"))


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class SimulatedServer:
    """The server of one simulated world; every poller in it has a port of its own."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        chance: Callable[[], float],
        seed: str = "simulation",
        in_flight_limit: int = limits.IN_FLIGHT,
    ) -> None:
        self.clock = clock
        self.events = EventLog()
        options = Options(cooldowns=False, in_flight_limit=in_flight_limit)
        self.broker = Broker(Ids(seed), options=options, events=self.events)
        self.service = Service(self.broker, clock=clock, chance=chance)

    def call(self, action: str, **request: Any) -> dict[str, Any]:
        """One action at once, as a producer or a test calls it. Raises AssertionError with the error's body."""
        reply = self.service.answer(action, orjson.dumps(request), Caller())
        assert isinstance(reply, Reply), f"{action} would wait"  # noqa: S101 - a tool for tests
        assert reply.status == 200, reply.body  # noqa: S101 - a tool for tests
        answer: dict[str, Any] = orjson.loads(reply.body)
        return answer


@dataclass(slots=True)
class Call:
    """A request on its way."""

    request: Request
    token: object
    sent_at: float


class SimulatedSqs:
    """Implements policy.requests.Sqs. Answers arrive `round_trip()` seconds after they were sent, in virtual time."""

    def __init__(
        self, server: SimulatedServer, url: str, *, round_trip: Callable[[], float], connection: int = 1
    ) -> None:
        self._server = server
        self._url = url
        self._round_trip = round_trip
        self._connection = connection  # as the server's event log names it
        self._arriving: list[tuple[float, int, Answer]] = []
        self._number = 0
        self._waiting: dict[int, tuple[Call, LongPoll, Afterwards | None]] = {}
        self._fd, other = os.pipe()
        os.close(other)
        self.receiving = 0
        self.settling = 0
        self.requests: list[Request] = []  #: all that were started, for tests

    def fileno(self) -> int:
        """A descriptor that the real loop could watch; the simulation never does."""
        return self._fd

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._fd)

    def due(self, now: float) -> float:
        """Never: whoever moves the clock asks for answers."""
        del now
        return float("inf")

    def start(self, request: Request, token: object) -> None:
        """The request reaches the server at once; its answer takes the round trip."""
        call = Call(request, token, self._server.clock())
        self.requests.append(request)
        if isinstance(request, Receive):
            self.receiving += 1
        else:
            self.settling += 1
        self._reach(call)

    def _reach(self, call: Call) -> None:
        """The request is at the server."""
        self._number += 1
        action, body = _wire(call.request, self._url)
        reply = self._server.service.answer(action, orjson.dumps(body), Caller(connection=self._connection))
        if isinstance(reply, Reply):
            self._arrive(call, reply)
        else:
            poll, afterwards = reply
            poll.owner = self
            self._waiting[self._number] = (call, poll, afterwards)

    def finish(self, poll: LongPoll, answer: dict[str, Any] | SqsError) -> None:
        """The server ended one of our long polls."""
        for number, (call, waiting, afterwards) in list(self._waiting.items()):
            if waiting is poll:
                del self._waiting[number]
                self._arrive(call, self._server.service.finish(answer, afterwards))

    def answers(self) -> list[Answer]:
        """The answers that have arrived by now."""
        found = []
        while self._arriving and self._arriving[0][0] <= self._server.clock():
            answer = heapq.heappop(self._arriving)[2]
            if isinstance(answer.request, Receive):
                self.receiving -= 1
            else:
                self.settling -= 1
            found.append(answer)
        return found

    def next_arrival(self) -> float:
        """When the next answer arrives; infinity if none is on its way."""
        return self._arriving[0][0] if self._arriving else float("inf")

    def _arrive(self, call: Call, reply: Reply) -> None:
        self._number += 1
        timeout = self.timeout(call.request)
        silent = reply.carriage in (Carriage.SILENCE, Carriage.TRICKLE)
        late = silent or reply.delay > timeout
        after = timeout if late else reply.delay + self._round_trip()
        answer = _lost(call, reply) if late else self._read(call, reply)
        heapq.heappush(self._arriving, (self._server.clock() + after, self._number, answer))

    @staticmethod
    def timeout(request: Request) -> float:
        """Seconds that the client waits for an answer."""
        return (request.wait if isinstance(request, Receive) else 0) + 5.0

    @staticmethod
    def _read(call: Call, reply: Reply) -> Answer:
        """What the client makes of a reply that ends in time."""
        return _answer(call, reply) if reply.carriage is Carriage.WHOLE else _lost(call, reply)


def _lost(call: Call, reply: Reply) -> Answer:
    failure = Failure(FailureKind.TRANSIENT, reply.carriage.value, "the answer was lost")
    return Answer(call.token, call.request, call.sent_at, failure=failure)


def _wire(request: Request, url: str) -> tuple[str, dict[str, Any]]:
    if isinstance(request, Receive):
        body: dict[str, Any] = {
            "QueueUrl": url,
            "MaxNumberOfMessages": request.count,
            "WaitTimeSeconds": request.wait,
            "VisibilityTimeout": request.visibility,
            "MessageSystemAttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
        }
        if request.attempt:
            body["ReceiveRequestAttemptId"] = request.attempt
        return "ReceiveMessage", body
    if isinstance(request, Look):
        return "GetQueueAttributes", {"QueueUrl": url, "AttributeNames": list(_DEPTH)}
    if isinstance(request, Delete):
        entries: list[dict[str, Any]] = [{"Id": str(i), "ReceiptHandle": one} for i, one in enumerate(request.receipts)]
        return "DeleteMessageBatch", {"QueueUrl": url, "Entries": entries}
    if isinstance(request, Hide):
        entries = [
            {"Id": str(i), "ReceiptHandle": receipt, "VisibilityTimeout": seconds}
            for i, (receipt, seconds) in enumerate(request.entries)
        ]
        return "ChangeMessageVisibilityBatch", {"QueueUrl": url, "Entries": entries}
    entries = [_outgoing(i, outgoing) for i, outgoing in enumerate(request.entries)]
    return "SendMessageBatch", {"QueueUrl": request.queue, "Entries": entries}


def _outgoing(number: int, outgoing: Outgoing) -> dict[str, Any]:
    optional = {
        "MessageAttributes": outgoing.attributes or None,
        "MessageGroupId": outgoing.group_id,
        "MessageDeduplicationId": outgoing.deduplication_id,
        "DelaySeconds": outgoing.delay,
    }
    entry = {"Id": str(number), "MessageBody": outgoing.body.decode()}
    return entry | {name: value for name, value in optional.items() if value is not None}


def _answer(call: Call, reply: Reply) -> Answer:
    try:
        body = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        failure = Failure(FailureKind.TRANSIENT, "NotJson", "the answer is not JSON")
        return Answer(call.token, call.request, call.sent_at, failure=failure)
    if reply.status != 200:
        shape = str(body.get("__type", "")).rpartition("#")[2]
        codes = tuple(code for code in (reply.query_error.partition(";")[0], shape) if code) or (str(reply.status),)
        failure = classify(codes, str(body.get("message", "")))
        return Answer(call.token, call.request, call.sent_at, failure=failure)
    if isinstance(call.request, Receive):
        shapes = body.get("Messages") or ()
        messages = tuple(one for shape in shapes if (one := payloads.received(shape)) is not None)
        return Answer(call.token, call.request, call.sent_at, messages=messages)
    if isinstance(call.request, Look):
        depth = Depth(*(int(body["Attributes"][name]) for name in _DEPTH))
        return Answer(call.token, call.request, call.sent_at, depth=depth)
    number = len(call.request.receipts if isinstance(call.request, Delete) else call.request.entries)
    missing = Failure(FailureKind.TRANSIENT, UNTOLD, "neither Successful nor Failed")
    results: dict[str, Failure | None] = {entry["Id"]: None for entry in body.get("Successful", ())}
    results |= {entry["Id"]: entry_failure(entry) for entry in body.get("Failed", ())}
    entries = tuple(results.get(str(place), missing) for place in range(number))
    return Answer(call.token, call.request, call.sent_at, entries=entries)
