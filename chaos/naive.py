"""Naive process: a boto3 loop as many write it, and the pool of such loops, restarted when they die.

    python -m chaos.naive ENDPOINT QUEUE_URL early|late

`early` deletes what it receives and then works; `late` works, then deletes, and never extends a lease. The oracle that
the worker has to satisfy must fail both.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from types import TracebackType
from typing import Any, Self

from chaos.pool import RESTART, ROOT, Setup
from worker import Message

#: Seconds that `late` hides what it receives: long against most of its messages.
_VISIBILITY = 2


def loop(endpoint: str, queue_url: str, manner: str) -> None:
    """The loop, for ever. Whatever boto3 raises ends the process."""
    import boto3

    from chaos.application import work

    sqs = boto3.client("sqs", endpoint_url=endpoint)
    while True:
        answer = sqs.receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1, VisibilityTimeout=_VISIBILITY
        )
        shapes = answer.get("Messages", [])
        if shapes and manner == "early":
            entries: list[Any] = [{"Id": one["MessageId"], "ReceiptHandle": one["ReceiptHandle"]} for one in shapes]
            sqs.delete_message_batch(QueueUrl=queue_url, Entries=entries)
        for shape in shapes:
            work(Message(id=shape["MessageId"], body=shape["Body"].encode(), queue="work"))
            if manner == "late":
                sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=shape["ReceiptHandle"])


class NaivePool:
    """Several such processes. There is no supervisor."""

    def __init__(self, setup: Setup, manner: str) -> None:
        self.restarts = 0
        self.codes: Counter[int] = Counter()
        self._setup = setup
        self._command = [sys.executable, "-m", "chaos.naive", setup.endpoint, setup.queue_url, manner]
        self._processes: list[subprocess.Popen[bytes]] = []
        self._log = (setup.folder / "pool.log").open("ab")
        self._again_at: dict[int, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drain(0)
        self._log.close()

    def start(self) -> None:
        """Start as many as the pool has handlers."""
        self._processes = [self._start() for _ in range(self._setup.handlers)]

    def tend(self, now: float) -> None:
        """Start again who has ended."""
        for place, process in enumerate(self._processes):
            if process.poll() is not None and now >= self._again_at.setdefault(process.pid, now + RESTART):
                self.codes[process.returncode] += 1
                self.restarts += 1
                self._processes[place] = self._start()

    def supervisor(self) -> int:
        """There is none."""
        return 0

    def roles(self) -> dict[str, list[int]]:
        """All are pollers, and run user code as well."""
        return {"poller": [process.pid for process in self._processes if process.poll() is None]}

    def drain(self, patience: float) -> int:
        """SIGTERM ends them at once; nothing in them waits for anything."""
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGCONT)
        end = time.monotonic() + max(patience, 5.0)
        for process in self._processes:
            process.wait(max(0.1, end - time.monotonic()))
        self._processes = []
        return 0

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - this interpreter, our own module
            self._command,
            env=self._setup.environment(),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )


if __name__ == "__main__":
    loop(*sys.argv[1:])
