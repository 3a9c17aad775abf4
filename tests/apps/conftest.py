"""Test process: what the end-to-end tests of all applications share: AWS beside SQS, and a pool that runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import eventually
from worker.cli.control import ask
from worker.testing.aws_services import AwsServicesProcess

ROOT = Path(__file__).parents[2]
#: Seconds for a drain: the applications have drain_timeouts of about 30.
_DRAIN = 45.0


@pytest.fixture(scope="session")
def aws_services_server() -> Iterator[AwsServicesProcess]:
    """moto's server in a process of its own, one for the whole run."""
    with AwsServicesProcess() as server:
        yield server


@pytest.fixture
def aws_services(aws_services_server: AwsServicesProcess, sqs_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The endpoint of every AWS service but SQS, empty for each test; boto3's clients and pools find both servers.

    The strict SQS server is `sqs_endpoint`, and lives on between tests: queue names have to be unique.
    """
    aws_services_server.reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_services_server.url)
    return aws_services_server.url


@dataclass(frozen=True)
class RunningPool:
    """`worker run` on an application's config, in a process of its own."""

    process: subprocess.Popen[bytes]
    log: Path
    socket: str  #: its control socket

    def lines(self) -> list[dict[str, Any]]:
        """The pool's log so far, and JSON lines of user code; without a last line that is not whole, and plain text."""
        return [
            json.loads(line)
            for line in self.log.read_bytes().splitlines(keepends=True)
            if line.startswith(b"{") and line.endswith(b"\n")
        ]

    def handlers(self, queue: str, *, state: str = "") -> list[int]:
        """The pids of a table's handler processes that have a place; those in a state alone ("busy", "idle")."""
        found = ask(self.socket, {"verb": "status"})["queues"][queue]["handlers"]
        return [one["pid"] for one in found if state in ("", one["state"])]

    def until(self, fact: Callable[[], object], *, seconds: float = 60.0) -> None:
        """Waits for a fact; fails with the log's end where it does not come true, or where the pool ends."""
        try:
            eventually(lambda: fact() or self.process.poll() is not None, seconds=seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self._end()}") from None
        assert self.process.poll() is None, f"the pool ended with {self.process.returncode}\n{self._end()}"

    def drain(self) -> None:
        """Stops it with SIGTERM; it must end with exit code 0: every settlement confirmed, nothing left in flight."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(_DRAIN) == 0, self._end()

    def _end(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]


#: Runs an application: `with run_app("message_status", {"DLQ_URL": url}, sets=("queues.dlq.wait=1",)) as pool`.
RunApp = Callable[..., AbstractContextManager[RunningPool]]


@pytest.fixture
def run_app(tmp_path: Path) -> RunApp:
    """Starts pools of applications; one that still runs at the end of its block is killed."""

    @contextmanager
    def run(name: str, environment: Mapping[str, str], *, sets: Sequence[str] = ()) -> Iterator[RunningPool]:
        command = [sys.executable, "-m", "worker", "run", "--config", f"apps/{name}/worker.toml"]
        for one in (f"worker.control_socket={tmp_path}/s", *sets):
            command += ["--set", one]
        log = tmp_path / f"{name}.log"
        with (
            log.open("ab") as file,
            subprocess.Popen(command, cwd=ROOT, env=os.environ | dict(environment), stdout=file, stderr=file) as pool,
        ):
            try:
                yield RunningPool(pool, log, f"{tmp_path}/s")
            finally:
                pool.kill()

    return run


def depth(sqs: Any, url: str) -> tuple[int, int]:
    """Messages visible (delayed ones too) and in flight."""
    asked = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    kinds = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed")
    return sum(int(asked[kind]) for kind in kinds), int(asked["ApproximateNumberOfMessagesNotVisible"])


def make_queue(sqs: Any, name: str, *, dead_letter: str = "", receives: int = 1, **attributes: str) -> str:
    """Makes a queue (FIFO by its name) and returns its URL; `dead_letter` is the URL of its dead-letter queue."""
    wanted = dict(attributes)
    if name.endswith(".fifo"):
        wanted |= {"FifoQueue": "true"}
    if dead_letter:
        answer = sqs.get_queue_attributes(QueueUrl=dead_letter, AttributeNames=["QueueArn"])["Attributes"]
        wanted["RedrivePolicy"] = json.dumps({"deadLetterTargetArn": answer["QueueArn"], "maxReceiveCount": receives})
    return str(sqs.create_queue(QueueName=name, Attributes=wanted)["QueueUrl"])


def take_all(sqs: Any, url: str) -> list[dict[str, Any]]:
    """Every message of a queue with all its attributes, taken out."""
    taken = []
    asked = {"MaxNumberOfMessages": 10, "AttributeNames": ["All"], "MessageAttributeNames": ["All"]}
    while received := sqs.receive_message(QueueUrl=url, **asked).get("Messages", []):
        for message in received:
            taken.append(message)
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return taken
