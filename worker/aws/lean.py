"""Poller process: calls to SQS over our own connections. No thread waits, and only what SQS needs is paid for."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from worker import platform
from worker.aws import actions
from worker.aws.answers import Reply
from worker.aws.endpoint import Endpoint
from worker.aws.errors import Refused, failure_of
from worker.aws.exchange import Body, Exchange
from worker.aws.refreshing import Source
from worker.aws.refusals import FIRST_ERROR, Garbled, parsed, refusal
from worker.aws.session import CONTROL_TIMEOUT
from worker.aws.transport import Transport
from worker.policy.failures import Failure, FailureKind
from worker.policy.requests import Answer, Hide, Look, Receive, Request, Send
from worker.settings import POLL_GRACE

_GARBLED = "ResponseParserError"  #: as botocore calls it


class LeanSqs:
    """Implements policy.requests.Sqs for one queue: receives on some connections, everything else on others."""

    def __init__(self, endpoint: Endpoint, source: Source, *, polls: int, controls: int) -> None:
        """`source` gives the credentials; `url` is to be set before the first request. Raises OSError as Transport."""
        self._transport = Transport(endpoint, source)
        self._polls = self._transport.lane(polls)
        self._controls = self._transport.lane(controls)
        self._bodies: dict[Receive, Body] = {}
        self._urls: dict[str, str] = {}
        self._answers: list[Answer] = []
        self.url = ""
        self.receiving = 0
        self.settling = 0

    def fileno(self) -> int:
        """Readable when answers() has something to do."""
        return self._transport.fileno()

    def due(self, now: float) -> float:
        """Seconds till answers() has something to do even if nothing is readable."""
        return 0.0 if self._answers else self._transport.due(now)

    def start(self, request: Request, token: object) -> None:
        """Send the request; its answer carries the token."""
        if isinstance(request, Receive):
            self.receiving += 1
            self._receive(request, token)
            return
        self.settling += 1
        if isinstance(request, Look):
            body = Body.of(actions.looking(self.url))
            self._control("GetQueueAttributes", body, partial(self._looked, request, token))
            return
        with self._failing(request, token, None):
            if isinstance(request, Send):
                _check(request)
                if (url := self._address(request.queue)) is None:
                    self._look_up(request, token)
                    return
            else:
                url = self.url
            self._batch(request, token, url)

    def answers(self) -> list[Answer]:
        """Send and read what goes now; the answers that have come since the last call."""
        self._transport.drive()
        found, self._answers = self._answers, []
        for answer in found:
            if isinstance(answer.request, Receive):
                self.receiving -= 1
            else:
                self.settling -= 1
        return found

    def ask(self, action: str, members: dict[str, Any]) -> dict[str, Any]:
        """One call that waits for its answer: for the start, where there is nothing else to do. Raises Refused."""
        results: list[Reply | Failure] = []
        self._control(action, Body.of(members), lambda _, result: results.append(result))
        while not results:
            select.select([self], [], [], max(0.0, min(1.0, self._transport.due(platform.now()))))
            self._transport.drive()
        try:
            return _content(results[0])
        except Garbled as error:
            raise Refused(Failure(FailureKind.TRANSIENT, _GARBLED, str(error))) from error
        except Refused as error:
            self._judge(error.failure)
            raise

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    # --- requests

    def _receive(self, request: Receive, token: object) -> None:
        body = self._bodies.get(request)
        if body is None:
            body = Body.of(actions.receiving(request, self.url))
            if not request.attempt:
                self._bodies[request] = body  # at most one for each count
        # A second receive in place of one that SQS has taken would hide the messages of the first for nobody. Those of
        # a FIFO queue carry an attempt id: they bring the same messages again.
        self._polls.start(
            Exchange(
                "ReceiveMessage",
                body,
                patience=request.wait + POLL_GRACE,
                repeatable=bool(request.attempt),
                done=partial(self._received, request, token),
            )
        )

    def _batch(self, request: Request, token: object, url: str) -> None:
        action, members = actions.batch(request, url, binary=str)
        repeatable = not isinstance(request, Send) and not _releases(request, url)
        self._control(action, Body.of(members), partial(self._settled, request, token), repeatable=repeatable)

    def _look_up(self, request: Send, token: object) -> None:
        """The URL of the queue that a send names, and then the send."""

        def found(exchange: Exchange, result: Reply | Failure) -> None:
            with self._failing(request, token, exchange):
                url = self._urls[request.queue] = str(_content(result)["QueueUrl"])
                self._batch(request, token, url)

        self._control("GetQueueUrl", Body.of(actions.naming(request.queue)), found)

    def _address(self, queue: str) -> str | None:
        return queue if queue.startswith(("http://", "https://")) else self._urls.get(queue)

    def _control(
        self, action: str, body: Body, done: Callable[[Exchange, Reply | Failure], None], *, repeatable: bool = True
    ) -> None:
        self._controls.start(Exchange(action, body, patience=CONTROL_TIMEOUT, repeatable=repeatable, done=done))

    # --- answers

    def _received(self, request: Receive, token: object, exchange: Exchange, result: Reply | Failure) -> None:
        with self._failing(request, token, exchange):
            messages, unusable = actions.messages(_content(result))
            sent_at = exchange.sent_at
            self._answers.append(Answer(token, request, sent_at, messages=messages, unusable=unusable))

    def _settled(self, request: Request, token: object, exchange: Exchange, result: Reply | Failure) -> None:
        with self._failing(request, token, exchange):
            content = _content(result, request)
            entries, ids = actions.entries(content, request), actions.message_ids(content, request)
            self._answers.append(Answer(token, request, exchange.sent_at, entries=entries, message_ids=ids))

    def _looked(self, request: Look, token: object, exchange: Exchange, result: Reply | Failure) -> None:
        with self._failing(request, token, exchange):
            depth = actions.depth(_content(result))
            self._answers.append(Answer(token, request, exchange.sent_at, depth=depth))

    @contextmanager
    def _failing(self, request: Request, token: object, exchange: Exchange | None) -> Iterator[None]:
        """Whatever is raised in it is the answer: what an endpoint says must never end the poller."""
        try:
            yield
        except Refused as error:
            failure = error.failure
        except Garbled as error:
            failure = Failure(FailureKind.TRANSIENT, _GARBLED, str(error))
        except Exception as error:  # noqa: BLE001 - as the docstring says
            failure = failure_of(error, actions.hidden(request))
        else:
            return
        self._judge(failure)
        sent_at = (exchange.sent_at if exchange else 0.0) or platform.now()
        self._answers.append(Answer(token, request, sent_at, failure=failure))

    def _judge(self, failure: Failure) -> None:
        if failure.kind is FailureKind.CREDENTIALS:
            self._transport.route.credentials.refused()


def _content(result: Reply | Failure, request: Request | None = None) -> dict[str, Any]:
    """The object of an answer. Raises Refused for an error of SQS and Garbled for what is none of its answers."""
    if isinstance(result, Failure):
        raise Refused(result)
    if result.status >= FIRST_ERROR:
        raise Refused(refusal(result, actions.hidden(request) if request is not None else ()))
    return parsed(result.body)


def _releases(request: Request, url: str) -> bool:
    """Whether a second one could end the lease of whoever was given the message after the first."""
    if not isinstance(request, Hide) or url.endswith(".fifo"):
        return False
    return any(not seconds for _, seconds in request.entries)


def _check(request: Send) -> None:
    """Raise Refused for what boto3 would not send either, and SQS would refuse together with the rest of its batch."""
    for number, entry in enumerate(request.entries):
        if any(not isinstance(attribute.get("DataType"), str) for attribute in entry.attributes.values()):
            text = f"entry {number} has a message attribute without a DataType"
            raise Refused(Failure(FailureKind.INVALID, "ParamValidationError", text))
