"""Poller process: puts metrics to CloudWatch, in a thread of its own, so that nothing ever waits for CloudWatch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from worker.aws.errors import failure_of
from worker.policy.failures import Failure

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef

#: Counts that are kept while CloudWatch does not take them, oldest out first: an hour of two metrics a minute. One
#: request takes 1,000.
#: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
_MOST_KEPT = 120


class CloudWatch:
    """Implements poller.bookkeeper.Metrics. `make_client` is called in the thread, at the first count."""

    def __init__(
        self, make_client: Callable[[], CloudWatchClient], namespace: str, *, wall: Callable[[], float]
    ) -> None:
        self._make_client = make_client
        self._namespace = namespace
        self._wall = wall  #: seconds since 1970
        self._inbox: SimpleQueue[list[MetricDatumTypeDef]] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._given = self._tried = 0
        self._progress = threading.Condition()
        self._failure: Failure | None = None

    def put(self, counts: Mapping[str, int], queue_name: str) -> None:
        """Hand counts over, by the names of their metrics; now is their time."""
        when = datetime.fromtimestamp(self._wall(), UTC)
        dimensions = [{"Name": "QueueName", "Value": queue_name}]
        self._given += 1
        self._inbox.put(
            [
                {"MetricName": name, "Dimensions": dimensions, "Timestamp": when, "Value": count, "Unit": "Count"}  # type: ignore[typeddict-item]  # the stubs want a TypedDict for the dimension
                for name, count in counts.items()
            ]
        )
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="cloudwatch", daemon=True)
            self._thread.start()

    @property
    def idle(self) -> bool:
        """True if all that was handed over has been tried."""
        return self._given == self._tried

    def failure(self) -> Failure | None:
        """What the last try failed with, None if it did not."""
        return self._failure

    def flush(self, seconds: float) -> bool:
        """Wait till all has been tried, bounded; False if that took longer."""
        with self._progress:
            return self._progress.wait_for(lambda: self.idle, seconds)

    def _serve(self) -> None:
        client: CloudWatchClient | None = None
        kept: list[MetricDatumTypeDef] = []
        while True:
            kept += self._inbox.get()
            taken = 1
            try:
                while True:
                    kept += self._inbox.get_nowait()
                    taken += 1
            except Empty:
                pass
            try:
                client = client or self._make_client()
                client.put_metric_data(Namespace=self._namespace, MetricData=kept)
            except Exception as error:  # noqa: BLE001 - whatever it is: a thread that ended would put nothing any more
                self._failure = failure_of(error)
            else:
                self._failure = None
                kept = []
            kept = kept[-_MOST_KEPT:]
            with self._progress:
                self._tried += taken
                self._progress.notify_all()
