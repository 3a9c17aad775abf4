"""Poller process: calls to SQS through boto3, each in a thread that waits so that the poller's loop never does."""

from __future__ import annotations

import os
import threading
from base64 import b64decode
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError

from worker.aws import actions
from worker.aws.deadlines import Call, Deadlines
from worker.aws.errors import Refused, failure_of
from worker.aws.queues import queue_url
from worker.aws.session import CONNECT_TIMEOUT, CONTROL_TIMEOUT
from worker.policy.failures import Failure, FailureKind
from worker.policy.requests import Answer, Depth, Look, Receive, Request, Send
from worker.settings import POLL_GRACE

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class Calls:
    """Implements policy.requests.Sqs for one queue: receives on one client, everything else on the other."""

    def __init__(self, url: str, *, receiving: SQSClient, controlling: SQSClient, polls: int, controls: int) -> None:
        self._url = url
        self._receive_client = receiving
        self._control_client = controlling
        self._ask = asking(controlling)
        self._receives: SimpleQueue[tuple[Receive, object] | None] = SimpleQueue()
        self._controls: SimpleQueue[tuple[Request, object] | None] = SimpleQueue()
        self._urls: dict[str, str] = {}
        self._answers: deque[Answer] = deque()
        self._readable, self._wake = os.pipe()
        os.set_blocking(self._readable, False)
        os.set_blocking(self._wake, False)
        self._limits = {"receive": polls, "control": controls}
        self._threads = {"receive": 0, "control": 0}
        self._stuck: deque[str] = deque()  # names of threads whose calls were given up
        self._deadlines = Deadlines(self._late, shortest=CONTROL_TIMEOUT)
        self.receiving = 0
        self.settling = 0

    def fileno(self) -> int:
        """Readable when answers() has something."""
        return self._readable

    def due(self, now: float) -> float:
        """Never: threads keep the time."""
        del now
        return float("inf")

    def start(self, request: Request, token: object) -> None:
        """Send the request; its answer carries the token."""
        if isinstance(request, Receive):
            self.receiving += 1
            self._receives.put((request, token))
            self._ensure_thread("receive", self._serve_receives, self.receiving)
        else:
            self.settling += 1
            self._controls.put((request, token))
            self._ensure_thread("control", self._serve_controls, self.settling)

    def answers(self) -> list[Answer]:
        """The answers that have come since the last call."""
        try:
            os.read(self._readable, 4096)
        except BlockingIOError:
            return []
        found = []
        while self._answers:
            answer = self._answers.popleft()
            if isinstance(answer.request, Receive):
                self.receiving -= 1
            else:
                self.settling -= 1
            found.append(answer)
        if self._stuck:
            self._replace_stuck()
        return found

    def close(self) -> None:
        """End the threads that wait for a call. For producers and tests: a poller's end does it as well."""
        for _ in range(self._threads["receive"]):
            self._receives.put(None)
        for _ in range(self._threads["control"]):
            self._controls.put(None)
        self._deadlines.close()
        if not self.receiving and not self.settling:  # else a thread may still tell of an answer
            os.close(self._readable)
            os.close(self._wake)

    def _replace_stuck(self) -> None:
        """What waits in a queue was to be served by threads that are stuck now, and nobody may ever ask again."""
        while self._stuck:
            self._threads[self._stuck.popleft()] -= 1
        for name, serve, waiting in (
            ("receive", self._serve_receives, self._receives.qsize()),
            ("control", self._serve_controls, self._controls.qsize()),
        ):
            for needed in range(1, waiting + 1):
                self._ensure_thread(name, serve, needed)

    def _ensure_thread(self, name: str, serve: Any, needed: int) -> None:
        if self._threads[name] < min(needed, self._limits[name]):
            self._threads[name] += 1
            # Daemons: a poll that hangs past the drain deadline must not keep the process from ending.
            threading.Thread(target=serve, name=f"{name}-{self._threads[name]}", daemon=True).start()

    def _serve_receives(self) -> None:
        while True:
            if (asked := self._receives.get()) is None:
                return
            request, token = asked
            call = Call(request, token, request.wait + POLL_GRACE + CONNECT_TIMEOUT)
            sent_at = call.sent_at
            self._deadlines.begin(call)
            try:
                answered: Any = self._receive_client.receive_message(**actions.receiving(request, self._url))
                messages, unusable = actions.messages(answered)
                answer = Answer(token, request, sent_at, messages=messages, unusable=unusable)
            except Exception as error:  # noqa: BLE001 - whatever a call raises becomes its answer; the loop decides
                answer = Answer(token, request, sent_at, failure=failure_of(error))
            if not self._deadlines.finish(call):
                return  # another thread has this one's place
            self._answered(answer)

    def _serve_controls(self) -> None:
        while True:
            if (asked := self._controls.get()) is None:
                return
            request, token = asked
            call = Call(request, token, CONTROL_TIMEOUT + CONNECT_TIMEOUT)
            sent_at = call.sent_at
            self._deadlines.begin(call)
            try:
                if isinstance(request, Look):
                    answer = Answer(token, request, sent_at, depth=self._depth())
                else:
                    entries, ids = self._batch(request)
                    answer = Answer(token, request, sent_at, entries=entries, message_ids=ids)
            except Exception as error:  # noqa: BLE001 - as above
                answer = Answer(token, request, sent_at, failure=failure_of(error, actions.hidden(request)))
            if not self._deadlines.finish(call):
                return
            self._answered(answer)

    def _late(self, call: Call) -> None:
        """An answer is not whole by its deadline; its thread is not waited for, and may be replaced."""
        self._stuck.append("receive" if isinstance(call.request, Receive) else "control")
        failure = Failure(FailureKind.TRANSIENT, "TooSlow", f"no whole answer within {call.patience:.0f} s")
        self._answered(Answer(call.token, call.request, call.sent_at, failure=failure))

    def _answered(self, answer: Answer) -> None:
        self._answers.append(answer)
        try:
            os.write(self._wake, b"!")
        except BlockingIOError:
            return  # thousands of answers wait already: the loop is awake

    def _depth(self) -> Depth:
        members: Any = actions.looking(self._url)
        answer: Any = self._control_client.get_queue_attributes(**members)
        return actions.depth(answer)

    def _batch(self, request: Request) -> tuple[tuple[Failure | None, ...], tuple[str, ...]]:
        url = self._target(request.queue) if isinstance(request, Send) else self._url
        action, members = actions.batch(request, url, binary=b64decode)
        answer: Any = getattr(self._control_client, xform_name(action))(**members)
        return actions.entries(answer, request), actions.message_ids(answer, request)

    def _target(self, queue: str) -> str:
        if queue not in self._urls:
            self._urls[queue] = queue_url(self._ask, queue)
        return self._urls[queue]


def asking(client: SQSClient) -> Callable[[str, dict[str, Any]], dict[str, Any]]:
    """A way to make one call of any action and wait for its answer. Raises Refused."""

    def ask(action: str, members: dict[str, Any]) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(client, xform_name(action))(**members)
        except (ClientError, BotoCoreError) as error:
            raise Refused(failure_of(error)) from error
        return answer

    return ask
