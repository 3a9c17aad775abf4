"""Benchmark process: the SQS that is measured against: the embedded server, LocalStack, or AWS.

The embedded server runs in a process of its own; a rule of its fault plan delays every answer, which is the latency
knob, and counts the calls. LocalStack and AWS are spoken to through boto3.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from typing import Any, Protocol

from chaos.wire import Wire, queue_url
from worker.cli.embedded import environment
from worker.testing.sqs_server.process import SqsServerProcess

#: Actions whose calls are counted.
ACTIONS = (
    "ReceiveMessage",
    "DeleteMessage",
    "DeleteMessageBatch",
    "ChangeMessageVisibility",
    "ChangeMessageVisibilityBatch",
    "SendMessageBatch",
    "SendMessage",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListQueues",
)
#: Bytes of bodies in one request: SQS takes 1 MiB.
_MOST_BYTES = 1_000_000
_GUARD = "BENCH_AWS"


class Endpoint(Protocol):
    """What a measurement needs of an SQS."""

    name: str
    url: str
    has_latency: bool  #: whether `latency` has an effect, and calls are counted
    rate: float  #: messages a second that it will hardly do itself

    def environment(self) -> dict[str, str]:
        """The environment that leads a contender to it."""

    def create(self, *, visibility: int = 30) -> str:
        """A new queue; its URL."""

    def delete(self, url: str) -> None:
        """Away with it."""

    def fill(self, url: str, bodies: Iterable[str]) -> int:
        """Send these; how many."""

    def depth(self, url: str) -> int:
        """Messages in the queue, visible or not."""

    def latency(self, seconds: float) -> None:
        """From now on every answer comes so much later; the count of calls begins again."""

    def calls(self) -> dict[str, int]:
        """Calls by action since `latency` was set; sets it to 0."""

    def cpu(self) -> float:
        """CPU seconds of the endpoint itself; 0 if nobody knows."""


class Embedded:
    """The strict server of `worker.testing`."""

    name = "embedded"
    has_latency = True
    rate = float("inf")

    def __init__(self, server: SqsServerProcess) -> None:
        self.server = server
        self.port = int(server.url.rpartition(":")[2])
        self.url = f"http://127.0.0.1:{self.port}"
        self._wire = Wire(self.port)

    def close(self) -> None:
        """End the connection; the server goes on."""
        self._wire.close()

    def environment(self) -> dict[str, str]:
        """No account can be reached with it."""
        return {**environment(self.url), "AWS_ENDPOINT_URL": self.url, "AWS_REGION": "us-east-1"}

    def create(self, *, visibility: int = 30) -> str:
        name = f"bench-{uuid.uuid4().hex[:12]}"
        made = self._wire.ask("CreateQueue", {"QueueName": name, "Attributes": {"VisibilityTimeout": str(visibility)}})
        if made is None:
            raise RuntimeError(f"queue {name} could not be made")
        return queue_url(self.port, name)

    def delete(self, url: str) -> None:
        self._wire.ask("DeleteQueue", {"QueueUrl": url})

    def fill(self, url: str, bodies: Iterable[str]) -> int:
        count = 0
        for entries in batches(bodies):
            answer = self._wire.ask("SendMessageBatch", {"QueueUrl": url, "Entries": entries})
            if answer is None or answer.get("Failed"):
                raise RuntimeError(f"the server refused messages: {str(answer)[:300]}")
            count += len(entries)
        return count

    def depth(self, url: str) -> int:
        return sum(self.server.queues().get(url.rpartition("/")[2], {}).values())

    def latency(self, seconds: float) -> None:
        self.server.clear_faults()
        self.server.set_faults(*({"effect": "delay", "seconds": seconds, "action": name} for name in ACTIONS))

    def calls(self) -> dict[str, int]:
        return {rule["action"][0]: int(rule["matched"]) for rule in self.server.clear_faults() if rule["matched"]}

    def cpu(self) -> float:
        return self.server.usage()[0]


class Remote:
    """LocalStack or AWS, through boto3. AWS counts its messages roughly and late: only long windows mean something."""

    has_latency = False
    #: LocalStack does less; and a backlog is sent by one boto3 client, which does not do much more.
    rate = 2_000.0

    def __init__(self, name: str, url: str, environ: Mapping[str, str]) -> None:
        # Not worker.aws: the benchmark sends as any program would. Imported here: the embedded server needs none of it.
        import boto3

        self.name, self.url = name, url
        self._environ = dict(environ)
        # LocalStack takes any credentials, and must never see those that boto3 would find for AWS.
        key = environ.get("AWS_ACCESS_KEY_ID") if url else None
        self._sqs: Any = boto3.client(
            "sqs",
            endpoint_url=url or None,
            region_name=environ.get("AWS_DEFAULT_REGION"),
            aws_access_key_id=key,
            aws_secret_access_key=key,
        )

    def environment(self) -> dict[str, str]:
        return dict(self._environ)

    def create(self, *, visibility: int = 30) -> str:
        name = f"bench-{uuid.uuid4().hex[:12]}"
        made = self._sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": str(visibility)})
        # LocalStack answers with a host name of its own, which is not this machine's.
        return f"{self.url}/000000000000/{name}" if self.url else str(made["QueueUrl"])

    def delete(self, url: str) -> None:
        self._sqs.delete_queue(QueueUrl=url)

    def fill(self, url: str, bodies: Iterable[str]) -> int:
        count = 0
        for entries in batches(bodies):
            answer = self._sqs.send_message_batch(QueueUrl=url, Entries=entries)
            if answer.get("Failed"):
                raise RuntimeError(f"messages were refused: {answer['Failed'][0]}")
            count += len(entries)
        return count

    def depth(self, url: str) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def latency(self, seconds: float) -> None:
        if seconds:
            raise RuntimeError(
                f"{self.name} is as far away as it is: a latency can be set for the embedded server only"
            )

    def calls(self) -> dict[str, int]:
        return {}

    def cpu(self) -> float:
        return 0.0


def batches(bodies: Iterable[str]) -> Iterator[list[dict[str, Any]]]:
    """Entries of SendMessageBatch: ten bodies at most, and no more bytes than a request may have."""
    left = iter(bodies)
    while ten := list(islice(left, 10)):
        while ten:
            batch = _fitting(ten)
            ten = ten[len(batch) :]
            entries: list[dict[str, Any]] = [
                {"Id": str(place), "MessageBody": body} for place, body in enumerate(batch)
            ]
            yield entries


def _fitting(bodies: Sequence[str]) -> Sequence[str]:
    size = 0
    for place, body in enumerate(bodies):
        size += len(body)
        if place and size > _MOST_BYTES:
            return bodies[:place]
    return bodies


@contextmanager
def embedded(events_file: str = "") -> Iterator[Embedded]:
    """The embedded server until the block ends."""
    with SqsServerProcess(events_file=events_file, cooldowns=False) as server, closing(Embedded(server)) as endpoint:
        yield endpoint


def aws(environ: Mapping[str, str] = os.environ) -> Remote:
    """AWS itself, with the account that boto3 finds. It costs money and makes queues, so it wants to be told twice.

    Raises RuntimeError unless BENCH_AWS says `yes` and a region is set.
    """
    if environ.get(_GUARD) != "yes" or not environ.get("AWS_DEFAULT_REGION"):
        raise RuntimeError(
            f"AWS is measured only with {_GUARD}=yes and AWS_DEFAULT_REGION set: it makes queues and costs"
        )
    return Remote("AWS", "", environ)


def wait_for_depth(endpoint: Endpoint, url: str, *, most: int, patience: float) -> bool:
    """Wait until no more than so many messages are in the queue; False if that took longer than `patience` seconds."""
    end = time.monotonic() + patience
    while endpoint.depth(url) > most:
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
