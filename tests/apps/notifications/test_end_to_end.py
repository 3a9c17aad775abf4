"""Test process: notifications as they are run: the service, `worker run` in a process of its own, a real webhook."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import boto3
import pytest

from apps.notifications.provision import make_table
from apps.notifications.service import send_service
from tests.apps.conftest import ROOT, RunApp, RunningPool, depth, make_queue, take_all
from tests.apps.notifications.receiver import Receiver, Reply, Request, receiving

#: Where boto3's own variable leads, which the application's name for the endpoint has to outrank.
NOWHERE = "http://127.0.0.1:1"
#: Retries come at once, and each queue has one handler process.
QUICK = [
    f"queues.{queue}.{setting}"
    for queue in ("send-queue", "batch-queue")
    for setting in ("wait=1", "retry.first=1", "retry.most=1", "handlers=1")
]

pytestmark = pytest.mark.system


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


class Stage:
    """The queues, the table and the environment of one test."""

    def __init__(self, name: str, *, sqs_endpoint: str, webhook: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sqs, self.dynamodb = boto3.client("sqs"), boto3.client("dynamodb")
        self.environ = {
            "NOTIFICATIONS_TABLE": "notifications",
            "WEBHOOK_URL": webhook,
            "AWS_SQS_ENDPOINT_URL": sqs_endpoint,
            "AWS_ENDPOINT_URL_SQS": NOWHERE,
            "AWS_REGION": "us-east-1",
            "RECIPIENTS_PER_MESSAGE": "4",
        }
        for kind in ("send", "batch"):
            dead = self.environ[f"SQS_{kind.upper()}_DLQ_URL"] = make_queue(self.sqs, f"{name}-{kind}-dlq")
            url = make_queue(self.sqs, f"{name}-{kind}", dead_letter=dead, receives=3)
            self.environ[f"SQS_{kind.upper()}_QUEUE_URL"] = url
        make_table(self.dynamodb, "notifications")
        for variable, value in self.environ.items():
            monkeypatch.setenv(variable, value)
        monkeypatch.delenv("AWS_DEFAULT_REGION")

    def run(self, run_app: RunApp) -> AbstractContextManager[RunningPool]:
        return run_app("notifications", {}, sets=QUICK)

    def left(self, *kinds: str) -> set[tuple[int, int]]:
        """Messages visible and in flight in these queues, without repetition."""
        return {depth(self.sqs, self.environ[f"SQS_{kind}_URL"]) for kind in kinds}

    def rows(self) -> set[str]:
        """The keys of all rows."""
        pages = self.dynamodb.get_paginator("scan").paginate(TableName="notifications")
        rows = [row for page in pages for row in page["Items"]]
        return {f"{row['batch_id']['S']}:{row['recipient_id']['S']}" for row in rows}

    def close(self) -> None:
        self.sqs.close()
        self.dynamodb.close()


@pytest.fixture
def stage(
    request: pytest.FixtureRequest,
    aws_services: str,
    sqs_endpoint: str,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Stage]:
    name = f"notifications-{request.node.name.partition('[')[0][-40:].strip('_')}"
    one = Stage(name, sqs_endpoint=sqs_endpoint, webhook=receiver.url, monkeypatch=monkeypatch)
    yield one
    one.close()


def people(*names: str) -> list[dict[str, Any]]:
    return [{"id": name} for name in names]


def sent(recipients: list[dict[str, Any]]) -> set[str]:
    """Queue a notification; the keys of its deliveries."""
    batch = send_service.send_message_sync(content="hello", channel="webhook", recipients=recipients)["batch_id"]
    return {f"{batch}:{recipient['id']}" for recipient in recipients}


def test_every_recipient_is_reached_though_the_webhook_fails(stage: Stage, receiver: Receiver, run_app: RunApp) -> None:
    """A 429 that asks for a second, a 500, a hang and a dropped connection each cost a retry of that recipient alone.

    A 404 sends its message to the dead-letter queue, after all others in it have theirs. Every key is posted once,
    those that failed twice; the table has a row for each delivery.
    """
    tripped: set[str] = set()
    trouble = {
        "wait": Reply(429, {"Retry-After": "1"}),
        "broken": Reply(500),
        "gone": Reply(drop=True),
        "hung": Reply(hang=True),
    }

    def reply(request: Request) -> Reply:
        name = request.said["recipient"]["id"]
        if name == "nobody":
            return Reply(404)
        if name in trouble and name not in tripped:
            tripped.add(name)
            return trouble[name]
        return Reply()

    receiver.reply = reply
    few = sent(people("a", "wait", "b", "c", "d"))
    many = sent(people(*(f"u{number}" for number in range(9)), "broken", "gone", "hung", "nobody", "z"))
    with stage.run(run_app) as pool:
        pool.until(lambda: stage.left("SEND_QUEUE", "BATCH_QUEUE") == {(0, 0)})
        pool.drain()
    posted = Counter(receiver.keys())
    assert set(posted) == few | many
    assert {key.partition(":")[2] for key, count in posted.items() if count > 1} >= trouble.keys()
    assert all(count == 1 for key, count in posted.items() if key.partition(":")[2] not in {*trouble, "nobody"})
    assert stage.rows() == {key for key in few | many if not key.endswith(":nobody")}
    assert stage.left("SEND_DLQ") == {(0, 0)}
    (dead,) = take_all(stage.sqs, stage.environ["SQS_BATCH_DLQ_URL"])
    assert "nobody" in {recipient["id"] for recipient in json.loads(dead["Body"])["recipients"]}
    told = [line for line in pool.lines() if "the webhook answered 404 (recipient" in json.dumps(line)]
    assert told
    assert "nobody" not in pool.log.read_text()


def test_a_handler_that_is_killed_between_two_recipients_loses_none(
    stage: Stage, receiver: Receiver, run_app: RunApp
) -> None:
    """SIGKILL when the webhook has the twelfth notification and before there is a row for it.

    That one is posted again, with the same Idempotency-Key, and so may others be that were on their way in the same
    process; who had a row is not. Then every recipient has a row, and no message is left or dead.
    """
    lock = threading.Lock()
    interrupted: list[str] = []
    rows_before: set[str] = set()

    def reply(request: Request) -> Reply:
        with lock:  # the handler's threads post at the same time
            if len(receiver.requests) >= 12 and not interrupted:
                interrupted.append(request.key)
                rows_before.update(stage.rows())
                (handler,) = pool.handlers("batch-queue", state="busy")
                os.kill(handler, signal.SIGKILL)
        return Reply()

    keys = sent(people(*(f"u{number}" for number in range(24))))
    with stage.run(run_app) as pool:
        receiver.reply = reply
        pool.until(lambda: stage.left("BATCH_QUEUE") == {(0, 0)})
        pool.drain()
    posted = Counter(receiver.keys())
    assert set(posted) == keys
    assert posted[interrupted[0]] == 2
    assert max(posted.values()) == 2
    assert rows_before
    assert {posted[key] for key in rows_before} == {1}
    assert sum(posted.values()) - len(keys) <= 8  # threads: what one process has on its way
    assert stage.rows() == keys
    assert stage.left("BATCH_DLQ", "SEND_DLQ") == {(0, 0)}


def test_a_wrong_environment_is_said_and_exits_78(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a channel: the log names the variable; nothing was received."""
    monkeypatch.setenv("SMTP_URL", "smtps://mail.example.com")
    command = [sys.executable, "-m", "worker", "run", "--config", "apps/notifications/worker.toml"]
    command += ["--set", f"worker.control_socket={tmp_path}/s"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert ended.returncode == 78
    assert b"environment variable EMAIL_FROM is not set" in ended.stderr
