"""Handler process: counts what handlers do, and puts the sums to CloudWatch from a thread of its own.

No message waits for CloudWatch: a handler function adds one to a number. What was not taken is put with the next sums.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

#: Seconds in which counts gather where the last sums are a period ago.
_GATHER = 1.0


class Metrics:
    """The counts of one process, by the names of their metrics."""

    def __init__(
        self,
        namespace: str,
        queue_name: str,
        *,
        period: float,
        make_client: Callable[[], CloudWatchClient],
        failed: Callable[[Exception], None],
    ) -> None:
        self._namespace = namespace
        self._queue_name = queue_name
        self._period = period  #: seconds between two puts, at least
        self._make_client = make_client  #: called in the thread, once
        self._failed = failed  #: told, in the thread, what a put failed with
        self._counts: Counter[str] = Counter()
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self._last = float("-inf")
        self._putting = False  #: counts were taken, and their put is on its way
        self._failures = 0
        self._hurry = 0  #: tries that wait for no period

    def add(self, name: str) -> None:
        """Count one."""
        with self._change:
            self._counts[name] += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="metrics", daemon=True)
                self._thread.start()
            self._change.notify_all()

    def flush(self, seconds: float) -> bool:
        """Put what is counted now; False if that failed, or took longer than `seconds`."""
        with self._change:
            # A put that is on its way may fail, and its counts are tried once more.
            self._hurry = 2 if self._putting else 1
            enough = self._failures + self._hurry
            self._change.notify_all()
            self._change.wait_for(lambda: self._idle or self._failures >= enough, seconds)
            self._hurry = 0
            return self._idle

    @property
    def _idle(self) -> bool:
        return not self._counts and not self._putting

    def _serve(self) -> None:
        client: CloudWatchClient | None = None
        while True:
            counts = self._due()
            failure: Exception | None
            try:
                client = client or self._make_client()
                self._put(client, counts)
                failure = None
            except (ClientError, BotoCoreError, ValueError) as error:
                failure = error
                self._failed(error)
            with self._change:
                if failure is not None:
                    self._failures += 1
                    self._hurry = max(0, self._hurry - 1)
                    self._counts.update(counts)
                self._last, self._putting = time.monotonic(), False
                self._change.notify_all()

    def _due(self) -> Counter[str]:
        """Waits till there are counts and it is time for them; takes them."""
        with self._change:
            self._change.wait_for(lambda: self._counts)
            due = max(time.monotonic() + _GATHER, self._last + self._period)
            while (left := due - time.monotonic()) > 0 and not self._hurry:
                self._change.wait(left)
            counts, self._counts, self._putting = self._counts, Counter(), True
            return counts

    def _put(self, client: CloudWatchClient, counts: Counter[str]) -> None:
        client.put_metric_data(
            Namespace=self._namespace,
            MetricData=[
                {
                    "MetricName": name,
                    "Dimensions": [{"Name": "QueueName", "Value": self._queue_name}],
                    "Value": count,
                    "Unit": "Count",
                }
                for name, count in counts.items()
            ],
        )
