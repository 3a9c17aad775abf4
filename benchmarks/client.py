"""Command line: measures what a message costs the client that receives and deletes it: the lean one, and boto3.

    python benchmarks/client.py [--messages 20000] [--latency 0,0.01] [--connections 2,32] [--rounds 3] [--tls]

The SQS server runs in a process of its own. This process receives ten messages a call and deletes them ten a call, as a
poller does, and nothing else; its CPU time (user and system) is divided by the messages. With --tls a terminator in a
third process stands between them. The clients take turns, round by round; medians are shown.
"""

from __future__ import annotations

import resource
import select
import time
from typing import Any, Final

from worker import platform
from worker.aws.clients import client_for
from worker.aws.session import Session
from worker.policy.requests import Delete, Outgoing, Receive, Send, Sqs
from worker.settings import QueueSettings, Settings

_BODY: Final = b"x" * 1024
_CLIENTS: Final = ("lean", "boto3")
_TEN: Final = Receive(10, wait=1, visibility=60)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Measured:
    """One client of one queue, with so many calls on their way of each kind at most."""

    def __init__(self, name: str, url: str, *, connections: int) -> None:
        queue = QueueSettings(name="q", handler="m:f", queue_name="q", client=name, polls=connections)
        session = Session(Settings(name="benchmark", queues=(queue,), endpoint_url=url), queue)
        client = client_for(session, queue, controls=connections)
        self._connections = connections
        self._sqs: Sqs = client.sqs(client.ask("CreateQueue", {"QueueName": "q"})["QueueUrl"])

    def fill(self, messages: int) -> None:
        """Send so many."""
        batch = Send("q", (Outgoing(_BODY, {}),) * 10)
        left, open_ = messages // 10, 0
        while left or open_:
            while left and open_ < self._connections:
                self._sqs.start(batch, None)
                left, open_ = left - 1, open_ + 1
            open_ -= len(self._wait())

    def drain(self, messages: int) -> tuple[float, float]:
        """Receive and delete so many; microseconds of CPU a message, and messages a second."""
        sqs, gone = self._sqs, 0
        cpu, start = _cpu(), time.perf_counter()
        while gone < messages:
            for _ in range(self._connections - sqs.receiving):
                sqs.start(_TEN, None)
            for answer in self._wait():
                if answer.failure is not None or any(answer.entries):
                    raise RuntimeError(f"{answer.failure} {answer.entries}")
                if answer.messages:
                    sqs.start(Delete(tuple(message.receipt for message in answer.messages)), None)
                gone += len(answer.entries)
        took = time.perf_counter() - start
        used = _cpu() - cpu
        while sqs.receiving:
            self._wait()
        return used / gone * 1e6, gone / took

    def _wait(self) -> list[Any]:
        sqs = self._sqs
        seconds = min(1.0, max(0.0, sqs.due(platform.now())))
        select.select([sqs], [], [], seconds)
        return sqs.answers()
