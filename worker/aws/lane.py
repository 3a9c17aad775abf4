"""Poller process: the connections of one kind of request: opens them, hands them out, gives up what takes too long."""

from __future__ import annotations

import contextlib
import time
from collections import deque

from worker import platform
from worker.aws.answers import Reply
from worker.aws.connection import Broken, Connection, Phase
from worker.aws.exchange import Exchange
from worker.aws.line import NEVER, Line, Route
from worker.aws.session import CONNECT_TIMEOUT
from worker.aws.signing import Credentials
from worker.policy.failures import Failure, FailureKind, classify

#: Seconds after which a connection that rested is looked at before it is used: it may have been closed meanwhile.
_RESTED = 0.5


class Lane:
    """Long polls have one and everything else another, so that no poll ever delays a beat or a delete."""

    def __init__(self, route: Route, most: int) -> None:
        self._route = route
        self._most = most
        self._lines: set[Line] = set()
        self._resting: list[Line] = []  #: the last one used last, so that the others may end
        self._waiting: deque[Exchange] = deque()
        self._soonest = NEVER  #: no limit is nearer
        self._assigning = False

    def start(self, exchange: Exchange) -> None:
        """Send it as soon as a connection and credentials are there."""
        exchange.give_up_at = platform.now() + exchange.patience
        self._soonest = min(self._soonest, exchange.give_up_at)
        self._waiting.append(exchange)
        self._assign_all()

    def wake(self) -> None:
        """Addresses or credentials have come, or were refused."""
        for line in [one for one in self._lines if one.exchange and one.connection.phase is Phase.CLOSED]:
            self._connect(line)
        self._assign_all()

    def _assign_all(self) -> None:
        """Give connections to what waits."""
        if self._assigning:
            return  # a request that failed at once: the loop below goes on
        self._assigning = True
        try:
            self._assign()
        finally:
            self._assigning = False

    def _assign(self) -> None:
        while self._waiting:
            credentials = self._route.credentials.current()
            if credentials is None:
                return
            if isinstance(credentials, Failure):
                exchange = self._waiting.popleft()
                exchange.done(exchange, credentials)
                continue
            line = self._line(self._waiting[0])
            if line is None:
                return
            exchange = line.exchange = self._waiting.popleft()
            if line.used:
                self._send(line, exchange)
            else:
                self._connect(line)

    def ready(self, line: Line) -> None:
        """A socket of ours is ready."""
        connection, exchange = line.connection, line.exchange
        if connection.phase is Phase.CLOSED:
            return  # meanwhile
        try:
            if exchange is None:
                if not connection.alive():
                    self._close(line)
            elif connection.phase is Phase.OPEN:
                reply = connection.advance()
                if reply is not None:
                    self._answered(line, exchange, reply)
            elif connection.greet():
                self._route.addresses.took(connection.address)
                self._send(line, exchange)
        except Broken as error:
            self._broken(line, error)

    def due(self, now: float) -> float:
        """Seconds till expire() has to be called; it may be too early, never too late."""
        return self._soonest - now

    def expire(self, now: float) -> None:
        """Give up what is late."""
        if now < self._soonest:
            return
        for line in list(self._lines):
            if line.limit <= now:
                self._late(line)
        if self._waiting and self._route.credentials.current() is None:
            for exchange in [one for one in self._waiting if one.give_up_at <= now]:
                self._waiting.remove(exchange)
                text = f"no credentials within {exchange.patience:.0f} s"
                exchange.done(exchange, Failure(FailureKind.CREDENTIALS, "CredentialRetrievalError", text))
        waits = (one.give_up_at for one in self._waiting if one.give_up_at > now)
        self._soonest = min((*(line.limit for line in self._lines), *waits), default=NEVER)

    def close(self) -> None:
        """Close all connections. What they were to bring is nobody's any more."""
        for line in list(self._lines):
            self._close(line)

    # --- a connection for a request

    def _line(self, exchange: Exchange) -> Line | None:
        """One that rests, or a new one; None while all are busy."""
        fresh = exchange.fresh
        if fresh and self._resting and len(self._lines) >= self._most:
            self._close(self._resting[0])
        while self._resting and not fresh:
            line = self._resting.pop()
            # A look costs two microseconds, and an end that has come already is worth them where it would be a failure.
            if (exchange.repeatable and platform.now() - line.rests_since < _RESTED) or line.connection.alive():
                return line
            self._close(line)
        if len(self._lines) >= self._most:
            return None
        route = self._route
        connection = Connection(route.selector, context=route.context, host=route.host, buffer=route.buffer)
        line = Line(self.ready, connection)
        connection.owner = line
        self._lines.add(line)
        return line

    def _connect(self, line: Line) -> None:
        """Begin, once the endpoint's addresses are known."""
        now = platform.now()
        if line.connect_by == NEVER:
            line.connect_by = now + CONNECT_TIMEOUT
            self._limit(line, line.connect_by)
        try:
            found = self._route.addresses.current()
        except LookupError as error:
            self._fail(line, self._route.unreachable(str(error)))
            return
        if found is not None:
            line.addresses = deque(found)
            self._next_address(line, "no address")

    def _next_address(self, line: Line, why: str, *, code: str = "EndpointConnectionError") -> None:
        """Each address gets its share of the time that is left."""
        now = platform.now()
        while line.addresses and now < line.connect_by:
            self._limit(line, now + (line.connect_by - now) / len(line.addresses))
            with contextlib.suppress(Broken):
                line.connection.open(line.addresses.popleft(), self._route.session)
                return
        self._route.addresses.failed()
        self._fail(line, self._route.unreachable(why, code=code))

    # --- a request on a connection

    def _send(self, line: Line, exchange: Exchange) -> None:
        credentials = self._route.credentials.current()
        if not isinstance(credentials, Credentials):  # renewed while we connected, to no good
            failure = credentials or Failure(FailureKind.CREDENTIALS, "CredentialRetrievalError", "none are left")
            self._fail(line, failure)
            return
        body = exchange.body
        target = f"AmazonSQS.{exchange.action}"
        head = self._route.signer.head(
            target, digest=body.digest, length=len(body.data), credentials=credentials, now=time.time()
        )
        now = platform.now()
        exchange.sent_at = exchange.sent_at or now
        self._limit(line, now + exchange.patience)
        try:
            line.connection.send(head + body.data)
        except Broken as error:
            self._broken(line, error)

    def _answered(self, line: Line, exchange: Exchange, reply: Reply) -> None:
        if not line.used:
            line.used = True
            self._route.session = line.connection.session or self._route.session
        line.exchange, line.limit = None, NEVER
        if reply.reusable:
            line.rests_since = platform.now()
            self._resting.append(line)
        else:
            self._close(line)
        exchange.done(exchange, reply)
        if self._waiting:
            self._assign_all()

    def _broken(self, line: Line, error: Broken) -> None:
        connection, exchange = line.connection, line.exchange
        if connection.phase is not Phase.OPEN:
            connection.close()
            self._next_address(line, str(error), code=error.code)
            return
        stale = line.used and not connection.begun
        if exchange is not None and stale and not exchange.fresh and (exchange.repeatable or error.unsent):
            # Servers close connections that rest, and say so only when the next request is on its way.
            exchange.fresh, line.exchange = True, None
            self._close(line)
            self._waiting.appendleft(exchange)
            self._assign_all()
            return
        self._fail(line, classify((error.code,), f"{self._route.url}: {error}"))

    def _late(self, line: Line) -> None:
        phase = line.connection.phase
        if phase is not Phase.OPEN and line.addresses:
            line.connection.close()
            self._next_address(line, "no answer", code="ConnectTimeoutError")
            return
        if phase is not Phase.OPEN:
            self._route.addresses.failed()
            self._fail(line, self._route.unreachable("no answer", code="ConnectTimeoutError"))
            return
        # Whatever swallows packets swallows those of other connections as well.
        for other in list(self._resting):
            self._close(other)
        patience = line.exchange.patience if line.exchange else 0.0
        self._fail(line, classify(("TooSlow",), f"no whole answer within {patience:.0f} s"))

    def _fail(self, line: Line, failure: Failure) -> None:
        exchange, line.exchange = line.exchange, None
        self._close(line)
        if exchange is not None:
            exchange.done(exchange, failure)
        if self._waiting:
            self._assign_all()

    def _limit(self, line: Line, limit: float) -> None:
        line.limit = limit
        self._soonest = min(self._soonest, limit)

    def _close(self, line: Line) -> None:
        line.connection.close()
        line.limit = NEVER
        self._lines.discard(line)
        if line in self._resting:
            self._resting.remove(line)
