"""Command line: `python -m apps.image_pipeline.metrics [--json]`: the last hour of SQS_QUEUE_NAME in CloudWatch."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from apps.image_pipeline.rules import timestamp

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef, MetricTypeDef

#: All that SQS publishes of a standard queue; CloudWatch's units in the order of the table.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
METRICS = {
    "ApproximateAgeOfOldestMessage": "seconds",
    "ApproximateNumberOfMessagesDelayed": "messages",
    "ApproximateNumberOfMessagesNotVisible": "messages",
    "ApproximateNumberOfMessagesVisible": "messages",
    "NumberOfEmptyReceives": "receives",
    "NumberOfMessagesDeleted": "messages",
    "NumberOfMessagesReceived": "messages",
    "NumberOfMessagesSent": "messages",
    "SentMessageSize": "bytes",
}
STATISTICS = ("Sum", "Average", "Maximum")
#: Asked for beside them: the hour's average is that of its samples, not that of twelve averages.
_ASKED = (*STATISTICS, "SampleCount")
SPAN, PERIOD = 3600, 300  #: seconds

_EPILOG = """\
environment: SQS_QUEUE_NAME, and boto3's own (AWS_DEFAULT_REGION, AWS_PROFILE, AWS_ENDPOINT_URL, ...)
permission:  cloudwatch:GetMetricData

exit codes:
  0   shown; also for a queue that CloudWatch knows nothing of
  64  wrong arguments
  69  CloudWatch did not answer, or refused
  78  SQS_QUEUE_NAME or a region is missing
"""


@dataclass(slots=True)
class Series:
    """One metric: of each period that has data, the statistics by name."""

    name: str
    points: dict[datetime, dict[str, float]] = field(default_factory=dict)

    def whole(self) -> dict[str, float] | None:
        """The statistics of all periods together; None without data."""
        if not self.points:
            return None
        total = sum(point["Sum"] for point in self.points.values())
        samples = sum(point["SampleCount"] for point in self.points.values())
        return {
            "Sum": total,
            "Average": total / samples if samples else 0.0,
            "Maximum": max(point["Maximum"] for point in self.points.values()),
        }

    def to_json(self) -> dict[str, Any]:
        """For programs: the hour, and its periods, oldest first."""
        points = [
            {"timestamp": timestamp(at.timestamp())} | {one: point[one] for one in STATISTICS}
            for at, point in sorted(self.points.items())
        ]
        return {"unit": METRICS[self.name], "hour": self.whole(), "periods": points}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m apps.image_pipeline.metrics",
        description="The nine SQS metrics of the queue SQS_QUEUE_NAME: the last hour, in periods of 5 minutes.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="one JSON object, with every period")
    try:
        wanted = parser.parse_args(arguments)
    except SystemExit as error:
        return os.EX_USAGE if error.code else os.EX_OK
    queue = os.environ.get("SQS_QUEUE_NAME", "").strip()
    if not queue:
        return _fail(os.EX_CONFIG, "environment variable SQS_QUEUE_NAME is not set: the name of the queue to look at")
    end = time.time()
    try:
        series = read(queue, end=end)
    except ClientError as error:
        about = error.response["Error"]
        why = f"CloudWatch refused ({about.get('Code')}): {about.get('Message')}"
        return _fail(os.EX_UNAVAILABLE, f"{why}; cloudwatch:GetMetricData is needed")
    except BotoCoreError as error:
        missing = type(error).__name__ in ("NoRegionError", "ProfileNotFound")
        return _fail(os.EX_CONFIG if missing else os.EX_UNAVAILABLE, f"queue {queue}: {error}")
    if not any(one.points for one in series):
        print(
            f"CloudWatch has no data of a queue {queue!r} in this account and region. SQS sends none for a queue that"
            " was not used for six hours; else look at SQS_QUEUE_NAME and AWS_DEFAULT_REGION",
            file=sys.stderr,
        )
    show = _show_json if wanted.json else _show_table
    show(queue, series, end=end)
    return os.EX_OK


def read(queue: str, *, end: float) -> list[Series]:
    """The metrics of the hour before `end`, in seconds since 1970. Raises ClientError and BotoCoreError."""
    config = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2})
    cloudwatch = boto3.client("cloudwatch", config=config)
    series = [Series(name) for name in METRICS]
    asked = {f"q{place}_{one.lower()}": (found, one) for place, found in enumerate(series) for one in _ASKED}
    queries = [_query(id_, queue, metric=found.name, statistic=one) for id_, (found, one) in asked.items()]
    pages = cloudwatch.get_paginator("get_metric_data").paginate(
        MetricDataQueries=queries,
        StartTime=datetime.fromtimestamp(end - SPAN, UTC),
        EndTime=datetime.fromtimestamp(end, UTC),
    )
    for page in pages:
        for result in page["MetricDataResults"]:
            found, statistic = asked[result["Id"]]
            for at, value in zip(result["Timestamps"], result["Values"], strict=True):
                found.points.setdefault(at, dict.fromkeys(_ASKED, 0.0))[statistic] = value
    cloudwatch.close()
    return series


def _query(id_: str, queue: str, *, metric: str, statistic: str) -> MetricDataQueryTypeDef:
    about: MetricTypeDef = {
        "Namespace": "AWS/SQS",
        "MetricName": metric,
        "Dimensions": [{"Name": "QueueName", "Value": queue}],
    }
    return {"Id": id_, "MetricStat": {"Metric": about, "Period": PERIOD, "Stat": statistic}}


def _show_json(queue: str, series: Sequence[Series], *, end: float) -> None:
    found = {
        "queue": queue,
        "start": timestamp(end - SPAN),
        "end": timestamp(end),
        "period": PERIOD,
        "metrics": {one.name: one.to_json() for one in series},
    }
    print(json.dumps(found))


def _show_table(queue: str, series: Sequence[Series], *, end: float) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{queue}, one hour to {timestamp(end)}", title_justify="left")
    table.add_column("metric")
    for statistic in STATISTICS:
        table.add_column(statistic, justify="right")
    table.add_column("unit")
    for one in series:
        whole = one.whole()
        values = ["-" if whole is None else f"{whole[statistic]:,.10g}" for statistic in STATISTICS]
        table.add_row(one.name, *values, METRICS[one.name])
    console = Console()
    # A table that goes to a file is read by programs and people alike: it is not folded to 80 columns.
    (console if console.is_terminal else Console(width=120)).print(table)


def _fail(code: int, why: str) -> int:
    print(f"metrics: {why}", file=sys.stderr)
    return code


if __name__ == "__main__":
    raise SystemExit(main())
