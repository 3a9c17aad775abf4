"""Test process: image_pipeline as it is run, `worker run` in a process of its own against the SQS server and moto's."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from urllib.parse import urlsplit

import pytest

from tests.apps.conftest import RunApp, depth, make_queue
from tests.apps.image_pipeline.conftest import TEST_EVENT, World, in_sns, record, request, s3_event
from tests.conftest import eventually
from worker.testing.sqs_server.process import SqsServerProcess

pytestmark = pytest.mark.system

QUEUES = ("s3-event", "orchestrator", "dlq")
#: Short polls, and retries that do not keep a test waiting.
QUICK = [f"queues.{name}.{one}" for name in QUEUES for one in ("wait=1", "retry.first=0.2", "retry.most=1")]

COUNT = 12


def send(world: World, url: str, body: object) -> str:
    text = body if isinstance(body, str) else json.dumps(body)
    return str(world.sqs.send_message(QueueUrl=url, MessageBody=text)["MessageId"])


def empty(world: World) -> bool:
    """All three queues, also of what is in flight."""
    urls = (world.events, world.requests, world.dead_letters)
    return all(depth(world.sqs, url) == (0, 0) for url in urls)


def test_uploads_become_executions_and_what_is_broken_is_told(world: World, run_app: RunApp) -> None:
    """Every image has one execution and one row, however often and in whatever envelope its event came.

    Each broken message is one alert; the good record beside a bad one is processed; in the end all queues are empty,
    and after SIGTERM the pool exits 0.
    """
    versions = {
        f"uploads/u/{number}.png": world.put(f"uploads/u/{number}.png", {"n": str(number)}) for number in range(COUNT)
    }
    for number, (key, version) in enumerate(versions.items()):
        event = s3_event(record(key, version=version))
        for _ in range(1 + number % 3):  # S3 delivers at least once
            send(world, world.events, in_sns(json.dumps(event)) if number % 2 else event)
    for quiet in (TEST_EVENT, in_sns(json.dumps(TEST_EVENT))):
        send(world, world.events, quiet)
    hostile = {
        "uploads/u/../x.png": "segments are 4",
        "uploads/u/%00.png": "U+0000",
        "uploads/u/%FF.png": "not UTF-8",
        "uploads//x.png": "no user id",
        "x.png": "segments are 1",
    }
    rejected = {
        send(world, world.events, s3_event(record(key, version="1", encoded=True))): why for key, why in hostile.items()
    }
    mixed = s3_event(record("uploads/u/good.gif", version="1"), record("uploads/u/bad", version="2"))
    mixed_id = send(world, world.events, mixed)
    rejected[mixed_id] = "1 of 2 records are no uploaded images: key 'uploads/u/bad'"
    rejected[send(world, world.events, "no JSON")] = "not JSON"
    rejected[send(world, world.requests, {"imageId": "half", "userId": "u"})] = "bucketName is missing"
    rejected[send(world, world.requests, "{}")] = "imageId is missing"

    expected = {str(number) for number in range(COUNT)} | {"good"}
    with run_app("image_pipeline", world.environment(), sets=QUICK) as pool:
        pool.until(lambda: empty(world) and len(world.rows()) == len(expected) + 1)
        lines = pool.lines()
        pool.drain()

    executions = world.executions()
    assert sorted(one["imageId"] for one in executions.values()) == sorted(expected)
    started = {one["imageId"]: (arn, one) for arn, one in executions.items()}
    for key, version in versions.items():
        image_id = key.removeprefix("uploads/u/").removesuffix(".png")
        arn, asked = started[image_id]
        assert (asked["s3Key"], asked["objectVersion"], asked["metadata"]) == (key, version, {"n": image_id})
        row = world.row(image_id)
        assert (row["status"], row["stepFunctionsArn"], row["objectVersion"]) == ("processing", arn, version)
    assert "metadata" not in started["good"][1]  # it was never put
    assert [line["message"] for line in lines if line.get("event") == "metadata_missing"] == [mixed_id]
    assert world.row("half")["status"] == "failed"

    alerts = world.alerts()
    assert len(alerts) == len(rejected)
    images = {told["imageId"] for _, told in alerts}
    assert images == {None, "half"}
    assert json.dumps(mixed) in {told["messageBody"] for _, told in alerts}
    told = {line["message_id"]: line["why"] for line in lines if line.get("event") == "message_rejected"}
    assert told.keys() == rejected.keys()
    assert [why for one, why in rejected.items() if why not in told[one]] == []


class Gate:
    """A port that refuses connections as long as it is shut, and then leads to a server."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target)
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))  # taken, so nobody else listens here; and refused until listen()
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.before_answer: Callable[[], None] = lambda: None  #: called with the first answer of each connection
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []

    def open(self) -> None:
        self._socket.listen()
        self._start(self._accept)

    def close(self) -> None:
        for one in (self._socket, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(10)

    def _start(self, target: object, *arguments: socket.socket) -> None:
        thread = threading.Thread(target=target, args=arguments)  # type: ignore[arg-type]  # a bound method
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                near, _ = self._socket.accept()
                far = socket.create_connection((self._target.hostname, self._target.port))
                self._open += [near, far]
                self._start(self._copy, near, far)
                self._start(self._answer, far, near)

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def _answer(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            source.recv(1, socket.MSG_PEEK)  # the service has done what it was asked for
            self.before_answer()
        self._copy(source, sink)


@contextmanager
def gate(target: str) -> Iterator[Gate]:
    with closing(Gate(target)) as made:
        yield made


@pytest.mark.parametrize("service", ["SFN", "DYNAMODB"])
def test_a_service_that_is_down_costs_retries_and_no_image(world: World, run_app: RunApp, service: str) -> None:
    """Step Functions or DynamoDB refuse connections: retries. When it is back, one execution and one row each."""
    for number in range(5):
        send(world, world.requests, request(str(number)))
    with gate(world.services) as shut:
        environment = world.environment() | {f"AWS_ENDPOINT_URL_{service}": shut.url}
        with run_app("image_pipeline", environment, sets=QUICK) as pool:
            retried = lambda: {one["message"] for one in pool.lines() if one.get("event") == "message_failed"}  # noqa: E731
            pool.until(lambda: len(retried()) == 5)
            assert world.rows() == {}
            shut.open()
            pool.until(lambda: empty(world))
            pool.drain()
    executions = world.executions()
    assert sorted(one["imageId"] for one in executions.values()) == ["0", "1", "2", "3", "4"]
    assert {row["stepFunctionsArn"] for row in world.rows().values()} == executions.keys()
    assert {row["status"] for row in world.rows().values()} == {"processing"}
    assert world.alerts() == []


@pytest.mark.parametrize("service", ["SFN", "DYNAMODB"])
def test_a_handler_that_is_killed_after_an_effect_repeats_none(world: World, run_app: RunApp, service: str) -> None:
    """SIGKILL when an execution is started, or a row written, and the handler does not know it yet.

    Each image has one execution and one row all the same, and nobody is alerted.
    """
    killed: list[int] = []

    def kill() -> None:
        if not killed:
            eventually(lambda: pool.handlers("orchestrator", state="busy"), seconds=2.0)
            killed.extend(pool.handlers("orchestrator", state="busy"))
            os.kill(killed[0], signal.SIGKILL)

    for number in range(5):
        send(world, world.requests, request(str(number)))
    with gate(world.services) as way:
        way.before_answer = kill
        way.open()
        environment = world.environment() | {f"AWS_ENDPOINT_URL_{service}": way.url}
        with run_app("image_pipeline", environment, sets=QUICK) as pool:
            pool.until(lambda: killed and empty(world))
            pool.drain()
    executions = world.executions()
    assert sorted(one["imageId"] for one in executions.values()) == ["0", "1", "2", "3", "4"]
    assert {row["stepFunctionsArn"] for row in world.rows().values()} == executions.keys()
    assert {row["status"] for row in world.rows().values()} == {"processing"}
    assert world.alerts() == []


def test_a_handler_that_is_killed_after_an_alert_loses_none(world: World, run_app: RunApp) -> None:
    """SIGKILL between the publish and the delete: the alert comes again, and the row is failed."""
    killed: list[int] = []

    def kill() -> None:
        if not killed:
            eventually(lambda: pool.handlers("dlq", state="busy"), seconds=2.0)
            killed.extend(pool.handlers("dlq", state="busy"))
            os.kill(killed[0], signal.SIGKILL)

    send(world, world.dead_letters, request("i"))
    with gate(world.services) as way:
        way.before_answer = kill
        way.open()
        environment = world.environment() | {"AWS_ENDPOINT_URL_SNS": way.url}
        with run_app("image_pipeline", environment, sets=QUICK) as pool:
            pool.until(lambda: killed and empty(world))
            pool.drain()
    assert [told["imageId"] for _, told in world.alerts()] == ["i", "i"]
    assert world.row("i")["status"] == "failed"


def test_an_event_stays_until_its_requests_are_confirmed(
    world: World, run_app: RunApp, sqs_server: SqsServerProcess
) -> None:
    """As long as the queue of requests takes nothing, the event is kept; then each image is asked for, and it goes."""
    event = s3_event(*(record(f"uploads/u/{number}.png", version="1") for number in range(3)))
    send(world, world.events, event)
    requests = world.requests.rpartition("/")[2]
    sqs_server.set_faults({"effect": "unavailable", "action": ["SendMessage", "SendMessageBatch"], "queue": requests})
    try:
        with run_app("image_pipeline", world.environment(), sets=QUICK) as pool:
            pool.until(lambda: any(one.get("event") == "message_failed" for one in pool.lines()))
            assert (sum(depth(world.sqs, world.events)), depth(world.sqs, world.requests)) == (1, (0, 0))
            assert world.executions() == {}
            sqs_server.clear_faults()
            pool.until(lambda: empty(world))
            pool.drain()
    finally:
        sqs_server.clear_faults()
    assert sorted(one["imageId"] for one in world.executions().values()) == ["0", "1", "2"]


def test_a_table_that_is_down_holds_alerts_back(world: World, run_app: RunApp) -> None:
    """Table first: while DynamoDB refuses connections nothing is published, and the dead letter stays."""
    crash = {"worker.crash": {"DataType": "String", "StringValue": '{"signal":"SIGSEGV"}'}}  # as a quarantine has it
    body = json.dumps(request("i"))
    world.sqs.send_message(QueueUrl=world.dead_letters, MessageBody=body, MessageAttributes=crash)
    with gate(world.services) as shut:
        environment = world.environment() | {"AWS_ENDPOINT_URL_DYNAMODB": shut.url}
        with run_app("image_pipeline", environment, sets=QUICK) as pool:
            pool.until(lambda: sum(one.get("event") == "message_failed" for one in pool.lines()) >= 2)
            assert world.alerts() == []
            shut.open()
            pool.until(lambda: empty(world))
            pool.drain()
    row = world.row("i")
    assert (row["status"], row["errorInfo"]["reason"]) == ("failed", "Message moved to DLQ")
    assert (row["errorInfo"]["receiveCount"] >= 3, row["errorInfo"]["crash"]) == (True, '{"signal":"SIGSEGV"}')
    [(subject, told)] = world.alerts()
    assert (subject, told["imageId"], told["messageBody"]) == ("Image Processing Failed - i", "i", body)
    assert "SIGSEGV" in told["error"]


def test_what_is_rejected_is_told_without_a_redrive_policy(world: World, run_app: RunApp) -> None:
    """DLQ_URL says where it goes; the policy is for what SQS moves by itself."""
    requests = make_queue(world.sqs, f"{world.requests.rpartition('/')[2]}-alone")
    send(world, requests, "no JSON")
    with run_app("image_pipeline", world.environment() | {"SQS_QUEUE_URL": requests}, sets=QUICK) as pool:
        told: list[str] = []
        pool.until(lambda: told.extend(alert["messageBody"] for _, alert in world.alerts()) or told)
        pool.until(lambda: empty(world) and depth(world.sqs, requests) == (0, 0))
        pool.drain()
    assert told == ["no JSON"]


def test_versions_of_an_image_each_have_an_execution_and_the_latest_has_the_row(world: World, run_app: RunApp) -> None:
    """A late message of an older version starts its execution and leaves the row; failed and completed stay."""
    early, late = "2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z"
    for image_id, status in (("done", "completed"), ("broken", "failed")):
        world.write(
            {"imageId": image_id, "userId": "u", "status": status, "objectVersion": "v1", "uploadTimestamp": early}
        )
        send(world, world.requests, request(image_id, version="v1", time=early))
    send(world, world.requests, request("again", version="v2", time=late))
    with run_app("image_pipeline", world.environment(), sets=QUICK) as pool:
        pool.until(lambda: empty(world))
        send(world, world.requests, request("again", version="v1", time=early))
        send(world, world.requests, request("done", version="v2", time=late))
        pool.until(lambda: empty(world))
        pool.drain()
    started = sorted((one["imageId"], one["objectVersion"]) for one in world.executions().values())
    assert started == [("again", "v1"), ("again", "v2"), ("broken", "v1"), ("done", "v1"), ("done", "v2")]
    rows = {image_id: (row["status"], row["objectVersion"]) for (image_id, _), row in world.rows().items()}
    assert rows == {"again": ("processing", "v2"), "done": ("processing", "v2"), "broken": ("failed", "v1")}
