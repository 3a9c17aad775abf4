"""A real pool for system tests: `worker run` in a process of its own, against the SQS server in another."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import psutil
from botocore.config import Config

from worker.config import load
from worker.settings import to_json
from worker.testing.sqs_server.process import SqsServerProcess

ROOT = Path(__file__).parents[2]
PYTHON = getattr(sys, "_base_executable", sys.executable)


def eventually(fact: Callable[[], Any], *, seconds: float, why: str) -> Any:
    """Wait until `fact()` is true, at most so long; gives what it returned."""
    deadline = time.monotonic() + seconds
    while not (found := fact()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {why}")
        time.sleep(0.02)  # between two looks at a fact
    return found


def client(url: str) -> Any:
    """A boto3 client of the embedded server."""
    return boto3.client(
        "sqs",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 5, "mode": "standard"}),
    )


class Pool:
    """One queue `work` with its dead-letter queue `dead`, one config, and the process that runs it."""

    def __init__(
        self, folder: Path, server: SqsServerProcess, *, handler: str, fifo: bool = False, **queue: Any
    ) -> None:
        self.folder = folder
        self.server = server
        self.sqs = client(server.url)
        suffix = ".fifo" if fifo else ""
        self.fifo = fifo
        name = f"{folder.parent.name}-{folder.name}"  # the server is shared: no other test may know these queues
        extra = {"FifoQueue": "true", "ContentBasedDeduplication": "true"} if fifo else {}
        self.dead = self.sqs.create_queue(QueueName=f"{name}-dead{suffix}", Attributes=extra)["QueueUrl"]
        target = self.attribute("QueueArn", self.dead)
        policy = {"deadLetterTargetArn": target, "maxReceiveCount": queue.pop("receives", 10)}
        if queue.pop("dead_letter_queue", True):
            extra = extra | {"RedrivePolicy": json.dumps(policy)}
        self.url = self.sqs.create_queue(QueueName=f"{name}{suffix}", Attributes=extra)["QueueUrl"]
        self.effects_file = folder / "effects"
        self.socket = folder / "s"
        self.log = folder / "log"
        self.config = folder / "worker.toml"
        worker = {"drain_timeout": queue.pop("drain_timeout", 20), "log_level": queue.pop("log_level", "info")}
        settings = {
            "url": self.url,
            "handler": handler if ":" in handler else f"tests.system.effects:{handler}",
            "handlers": 2,
            "wait": 2,
        } | queue
        lines = ["[worker]", 'name = "test"', f'control_socket = "{self.socket}"']
        lines += [f"{key} = {json.dumps(value)}" for key, value in worker.items()]
        lines += ["[queues.work]", *[f"{key} = {_toml(value)}" for key, value in settings.items()]]
        self.config.write_text("\n".join(lines) + "\n")
        self.config.chmod(0o600)
        self.environment = os.environ | {
            "AWS_ENDPOINT_URL": server.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "EFFECTS": str(self.effects_file),
            "PYTHONPATH": str(ROOT),
        }
        self.process: subprocess.Popen[bytes] | None = None

    # --- the process

    def start(
        self,
        *prefix: str,
        ready: bool = True,
        options: tuple[str, ...] = (),
        unchecked: dict[str, Any] | None = None,
    ) -> None:
        """Start `worker run`; waits until every process of it is ready.

        `prefix` is a command that starts it, `options` are those of `worker run`; `unchecked` are queue settings that
        the config file would refuse.
        """
        command = [*prefix, sys.executable, "-m", "worker", "run", "--config", str(self.config), *options]
        settings = b""
        if unchecked is not None:
            command = [*prefix, sys.executable, "-m", "tests.system.run_settings"]
            loaded = load(self.config, self.environment)
            queues = (replace(loaded.queues[0], **unchecked),)
            settings = json.dumps(to_json(replace(loaded, queues=queues))).encode()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=self.environment, cwd=ROOT
            )
        assert self.process.stdin is not None
        self.process.stdin.write(settings)
        self.process.stdin.close()
        if ready:
            eventually(lambda: self.state() == "running", seconds=30, why=f"running\n{self.log.read_text()[-4000:]}")

    def stop(self, number: int = signal.SIGTERM, *, seconds: float = 30) -> int:
        """Signal the supervisor and wait for its end; gives the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def status(self) -> dict[str, Any]:
        """What `worker status --json` shows; empty while nobody listens."""
        import socket

        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b'{"verb": "status"}\n')
                answer = b"".join(iter(lambda: connection.recv(65536), b""))
            except OSError:
                return {}
        return json.loads(answer) if answer else {}

    def state(self) -> str:
        assert self.process is not None
        assert self.process.poll() is None, f"the pool ended: {self.process.returncode}\n{self.log.read_text()[-4000:]}"
        return str(self.status().get("state", ""))

    def queue(self) -> dict[str, Any]:
        """The status of the one queue."""
        return dict(self.status().get("queues", {}).get("work", {}))

    def pids(self, kind: str) -> list[int]:
        """Process ids of "pollers" or "handlers"."""
        return [child["pid"] for child in self.queue().get(kind, ()) if child["pid"]]

    def tree(self) -> list[psutil.Process]:
        """All processes of the pool but the supervisor."""
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def events(self) -> list[dict[str, Any]]:
        """The log lines; text of user code between them is left out."""
        return list(_lines(self.log))

    # --- the queue

    def send(self, bodies: list[str], *, group: str = "") -> None:
        """Send in batches; the producer's numbers are the first words of the bodies."""
        options = {"MessageGroupId": group} if group else {}
        for start in range(0, len(bodies), 10):
            entries = [
                {"Id": str(place), "MessageBody": body, **options}
                for place, body in enumerate(bodies[start : start + 10])
            ]
            answer = self.sqs.send_message_batch(QueueUrl=self.url, Entries=entries)
            assert not answer.get("Failed"), answer

    def attribute(self, name: str, url: str = "") -> str:
        answer = self.sqs.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=[name])
        return str(answer["Attributes"][name])

    def depth(self, url: str = "") -> tuple[int, int]:
        """(visible, in flight)."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])

    def wait_empty(self, *, seconds: float) -> None:
        eventually(lambda: self.depth() == (0, 0), seconds=seconds, why=f"queue empty, is {self.depth()}")

    def effects(self, step: str = "end") -> Counter[str]:
        """How often each number had its effect."""
        if not self.effects_file.exists():
            return Counter()
        rows = (line.split() for line in self.effects_file.read_text().splitlines())
        return Counter(row[1] for row in rows if row[0] == step)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_bytes().splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    return json.dumps(value)
