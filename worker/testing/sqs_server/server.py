"""SQS server process: the server on its event loop: connections, long polls, the one timer."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from worker.testing.sqs_server.control import Control
from worker.testing.sqs_server.errors import SqsError
from worker.testing.sqs_server.http import Connection
from worker.testing.sqs_server.http_head import Head
from worker.testing.sqs_server.long_polls import LongPoll
from worker.testing.sqs_server.replies import Carriage, Reply, failure
from worker.testing.sqs_server.service import Afterwards, Service

_TARGET = "AmazonSQS."


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How the server appears on the network; times in seconds."""

    host: str = "127.0.0.1"
    #: 0: the kernel chooses.
    port: int = 4566
    #: Host of queue URLs. Empty: `localhost` on 127.0.0.1, else what the client asked for.
    url_host: str = ""
    #: Added to every answer, without blocking others: the distance to AWS in benchmarks.
    latency: float = 0.0
    #: Whether a long poll whose client has gone still gets messages, until its deadline. SQS does that: it does not
    #: notice closed sockets for a while, and what it assigns to them is hidden until the visibility timeout.
    orphan_polls: bool = True


@dataclass(slots=True)
class _Pending:
    connection: Connection
    poll: LongPoll
    afterwards: Afterwards | None


class SqsServer:
    """Serves SQS until `close`. The service is its own: nothing else may call its broker while it runs."""

    def __init__(self, service: Service, settings: ServerSettings) -> None:
        self._service = service
        self._broker = service.broker
        self._settings = settings
        self._control = Control(service)
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")
        self._connections = 0
        self.port = settings.port

    async def start(self) -> None:
        """Listens. Raises OSError where the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._connect, self._settings.host, self._settings.port, backlog=1024, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stops listening and drops all connections."""
        if self._timer is not None:
            self._timer.cancel()
        if self._server is not None:
            self._server.close()

    @property
    def url(self) -> str:
        """Where clients on this machine reach it."""
        host = self._settings.url_host or self._settings.host
        return f"http://{'localhost' if host in ('127.0.0.1', '0.0.0.0', '::1', '::') else host}:{self.port}"  # noqa: S104 - compared, not bound

    def _connect(self) -> Connection:
        self._connections += 1
        return Connection(self, self._connections)

    def second(self) -> int:
        """The wall clock, for the Date header."""
        return int(time.time())

    def handle(self, connection: Connection, head: Head, body: bytes) -> Reply | None:
        """Answers one request; None where a long poll began."""
        if not head.target.startswith(_TARGET):
            reply = self._control.answer(head, body, loopback=connection.from_loopback())
            return reply or failure(SqsError("UnknownOperationException", "The request names no action of SQS."))
        caller = connection.caller
        caller.region = head.region
        caller.url_base = self._url_base(head)
        caller.trace_header = head.trace_header
        caller.path = head.path
        answer = self._service.answer(head.target[len(_TARGET) :], body, caller)
        if not isinstance(answer, Reply):
            poll, afterwards = answer
            poll.owner = connection.pending = _Pending(connection, poll, afterwards)
            self._settle()
            return None
        if self._broker.busy:
            self._settle()
        if self._settings.latency:
            answer.delay += self._settings.latency
        return answer

    def _url_base(self, head: Head) -> str:
        if self._settings.url_host or self._settings.host == "127.0.0.1" or not head.host:
            return self.url
        return f"http://{head.host}"

    def _settle(self) -> None:
        """Ends the long polls that can end, and sets the timer for the next moment at which something is due."""
        for poll, answer in self._broker.complete(self._service.clock()):
            self._answer_poll(poll, answer)
        moment = self._broker.next_moment()
        if moment is None or moment >= self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = moment
        wait = max(0.0, moment - self._service.clock())
        self._timer = asyncio.get_running_loop().call_later(wait, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._timer_at = float("inf")
        self._settle()

    def _answer_poll(self, poll: LongPoll, answer: dict[str, Any] | SqsError) -> None:
        pending = poll.owner
        if not isinstance(pending, _Pending):
            return
        reply = self._service.finish(answer, pending.afterwards)
        reply.delay += self._settings.latency
        pending.connection.pending = None
        pending.connection.send(reply)

    def ended(self, connection: Connection) -> None:
        """The client has gone."""
        pending = connection.pending
        if isinstance(pending, _Pending) and not self._settings.orphan_polls:
            self._broker.polls.drop(pending.poll)
            connection.pending = None

    def sent(self, connection: Connection, reply: Reply, *, complete: bool) -> None:
        """Notes in the event log whether an answer went out: what it assigned is lost to the client if not."""
        if self._broker.events is None:
            return
        outcome = "sent" if complete else "aborted" if reply.carriage is Carriage.WHOLE else "lost"
        self._broker.events.record(
            "response",
            now=self._service.clock(),
            connection=connection.caller.connection,
            request=connection.caller.request,
            status=reply.status,
            outcome=outcome,
        )
