"""Poller process: tells CloudWatch and the log what became of deletes. It never waits for either of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from worker.policy.delivery import Delivery
from worker.policy.failures import Failure
from worker.settings import CloudWatchSettings
from worker.telemetry import Log

#: Seconds in which counts gather where the last ones are a period ago.
_GATHER = 1.0
#: Seconds that the last counts may take at the end of a drain, within its budget.
_LAST = 2.0
#: Seconds between two looks whether they are put.
_LOOK = 0.02
#: Seconds between two warnings that metrics are not put.
_SILENCE = 600.0
#: Characters of a trace header's root; AWS's own have 35.
_LONGEST_TRACE = 128


class Metrics(Protocol):
    """Where counts go; nothing of it blocks."""

    def put(self, counts: Mapping[str, int], queue_name: str) -> None:
        """Take counts by the names of their metrics."""

    @property
    def idle(self) -> bool:
        """True if all that was taken has been tried."""

    def failure(self) -> Failure | None:
        """What the last try failed with, None if it did not."""


class Bookkeeper:
    """One per poller whose queue has a `cloudwatch` table."""

    def __init__(
        self,
        settings: CloudWatchSettings,
        *,
        queue_name: str,
        log: Log,
        metrics: Metrics | None,
        wall: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._queue_name = queue_name
        self._log = log
        self._metrics = metrics
        self._wall = wall  #: seconds since 1970
        self._deleted = self._failed = 0
        self._lines: dict[str, list[dict[str, Any]]] = {"info": [], "error": []}
        self._put_at = float("-inf")
        self._due: float | None = None
        self._told_at: float | None = None
        self._give_up = float("inf")

    def deleted(self, delivery: Delivery) -> None:
        """Its delete was confirmed."""
        self._deleted += 1
        self._note(delivery, "success", {})

    def not_deleted(self, delivery: Delivery, failure: Failure) -> None:
        """A try of its delete failed."""
        self._failed += 1
        self._note(delivery, "error", {"error": str(failure)})

    def step(self, now: float) -> float:
        """Write lines, put counts that are due; returns the seconds till they are."""
        for level, lines in self._lines.items():
            if lines:
                self._log.lines(level, lines)
                lines.clear()
        if self._metrics is None:
            return float("inf")
        self._tell_failure(now)
        if self._deleted or self._failed:
            # The first after a quiet time is seen soon: an alarm may wait for it.
            self._due = self._due if self._due is not None else max(now + _GATHER, self._put_at + self._settings.period)
            if now < self._due:
                return self._due - now
            self._put(self._metrics)
            self._put_at, self._due = now, None
        return float("inf")

    def last(self, now: float, deadline: float) -> float:
        """At the end of a drain: put what is left; the seconds till the next look, 0 when it is over."""
        self.step(now)
        if self._metrics is None:
            return 0.0
        self._put(self._metrics)
        self._give_up = min(self._give_up, now + _LAST, deadline)
        if not self._metrics.idle and now < self._give_up:
            return _LOOK
        self._tell_failure(now)
        return 0.0

    def _put(self, metrics: Metrics) -> None:
        names = self._settings
        counts = {names.deleted: self._deleted, names.delete_failed: self._failed}
        self._deleted = self._failed = 0
        if any(counts.values()):
            metrics.put({name: count for name, count in counts.items() if count}, self._queue_name)

    def _tell_failure(self, now: float) -> None:
        failure = self._metrics.failure() if self._metrics is not None else None
        if failure is None or (self._told_at is not None and now < self._told_at + _SILENCE):
            return
        self._told_at = now
        self._log.warning("metrics_not_put", namespace=self._settings.namespace, why=str(failure))

    def _note(self, delivery: Delivery, status: str, more: dict[str, str]) -> None:
        if not self._settings.log_deletes_as:
            return
        details = {"queue_name": self._queue_name, "message_id": delivery.message_id, **more}
        self._lines["error" if status == "error" else "info"].append(
            {
                "trace_id": trace_id(delivery),
                "action": self._settings.log_deletes_as,
                "status": status,
                "details": details,
                "timestamp": _timestamp(self._wall()),
            }
        )


def trace_id(delivery: Delivery) -> str:
    """The root of the message's AWSTraceHeader, its id where it has none (or where a predecessor had the attributes).

    https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
    """
    header = delivery.message.attributes.get("AWSTraceHeader", "") if delivery.message is not None else ""
    for part in header.split(";"):
        name, _, root = part.strip().partition("=")
        if name == "Root" and root:
            return root[:_LONGEST_TRACE]
    return delivery.message_id


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
