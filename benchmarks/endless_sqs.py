"""Benchmark process: an SQS whose queue never ends and whose calls take no time: the rest is the pool's own cost."""

from __future__ import annotations

import os
from collections import deque

from worker.platform import now
from worker.policy.delivery import Received
from worker.policy.requests import Answer, Delete, Depth, Look, Receive, Request


class EndlessSqs:
    """Implements policy.requests.Sqs. Every receive is full, every batch succeeds."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._number = 0
        self._answers: deque[Answer] = deque()
        self._readable, self._wake = os.pipe()
        self.receiving = 0
        self.settling = 0
        self.calls = 0

    def fileno(self) -> int:
        """Readable when answers() has something."""
        return self._readable

    def due(self, now: float) -> float:
        """Never: an answer is there at once."""
        del now
        return float("inf")

    def start(self, request: Request, token: object) -> None:
        """The answer is there at once, and is fetched in the loop's next turn."""
        self.calls += 1
        sent_at = now()
        if isinstance(request, Receive):
            self.receiving += 1
            messages = tuple(self._message() for _ in range(request.count))
            answer = Answer(token, request, sent_at, messages=messages)
        elif isinstance(request, Look):
            self.settling += 1
            answer = Answer(token, request, sent_at, depth=Depth(0, 0, 0))
        else:
            self.settling += 1
            entries = request.receipts if isinstance(request, Delete) else request.entries
            answer = Answer(token, request, sent_at, entries=(None,) * len(entries))
        if not self._answers:
            os.write(self._wake, b"!")
        self._answers.append(answer)

    def answers(self) -> list[Answer]:
        """The answers that have come since the last call."""
        os.read(self._readable, 1)
        found = list(self._answers)
        self._answers.clear()
        for answer in found:
            if isinstance(answer.request, Receive):
                self.receiving -= 1
            else:
                self.settling -= 1
        return found

    def _message(self) -> Received:
        self._number += 1
        name = f"00000000-0000-4000-8000-{self._number:012d}"
        attributes = {"ApproximateReceiveCount": "1", "SentTimestamp": "1700000000000"}
        return Received(name, f"receipt-{name}", self._body, attributes, {})
