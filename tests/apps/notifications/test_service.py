"""Test process: the service against the strict SQS server: what it sends, and whom it could not send to."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import boto3
import pytest

from apps.notifications import producers, queues, service
from apps.notifications.environment import Misconfigured
from apps.notifications.provision import make_queues
from apps.notifications.queues import QueueUnreadable
from apps.notifications.rules import MOST_BYTES, Chunk, cut
from apps.notifications.service import SendFailed, SendService, send_service, sqs_queue_manager
from tests.apps.conftest import take_all
from worker.testing.sqs_server.process import SqsServerProcess

#: Either way to send: the twin, or a coroutine on a loop of its own.
Send = Callable[..., dict[str, str]]
QUEUES = {"SQS_SEND_QUEUE_URL": "send-queue", "SQS_BATCH_QUEUE_URL": "batch-queue"}


@pytest.fixture
def sqs(sqs_server: SqsServerProcess, sqs_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The four queues, new and empty, with the variables that name them; boto3's own lead nowhere."""
    client = boto3.client("sqs")
    for name in ("send-queue", "send-dlq", "batch-queue", "batch-dlq"):
        for url in client.list_queues(QueueNamePrefix=name).get("QueueUrls", []):
            client.delete_queue(QueueUrl=url)
    for name, url in make_queues(client).items():
        monkeypatch.setenv(name, url)
    monkeypatch.setenv("AWS_SQS_ENDPOINT_URL", sqs_endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    yield client
    sqs_server.clear_faults()
    client.close()


@pytest.fixture(params=["sync", "async"])
def send(request: pytest.FixtureRequest) -> Send:
    """Both twins have to do the same."""

    def in_a_loop(**given: Any) -> dict[str, str]:
        return asyncio.run(send_service.send_message(**given))

    return send_service.send_message_sync if request.param == "sync" else in_a_loop


def people(count: int) -> list[dict[str, Any]]:
    return [{"id": f"u-{number}", "email": f"u{number}@example.com"} for number in range(count)]


def url(sqs: Any, name: str) -> str:
    return str(sqs.get_queue_url(QueueName=name)["QueueUrl"])


def bodies(sqs: Any, name: str) -> list[dict[str, Any]]:
    found = [json.loads(message["Body"]) for message in take_all(sqs, url(sqs, name))]
    return sorted(found, key=lambda body: int(body["chunk"]))


def test_few_recipients_are_one_message_of_the_send_queue(sqs: Any, send: Send) -> None:
    """The answer has the batch id of the message, a uuid4; the batch-queue gets nothing."""
    answer = send(content="hello", channel="email", recipients=people(5))
    assert answer.keys() == {"batch_id", "status"}
    assert answer["status"] == "queued"
    assert uuid.UUID(answer["batch_id"]).version == 4
    assert bodies(sqs, "send-queue") == [
        {
            "batch_id": answer["batch_id"],
            "chunk": 0,
            "content": "hello",
            "channel": "email",
            "recipients": people(5),
        }
    ]
    assert bodies(sqs, "batch-queue") == []


def test_many_recipients_are_messages_of_the_batch_queue(sqs: Any, send: Send) -> None:
    """A hundred each, all with the same batch id, every recipient once and in order."""
    answer = send(content="hello", channel="push", recipients=people(1250))
    found = bodies(sqs, "batch-queue")
    assert [len(body["recipients"]) for body in found] == [100] * 12 + [50]
    assert [recipient for body in found for recipient in body["recipients"]] == people(1250)
    assert {body["batch_id"] for body in found} == {answer["batch_id"]}
    assert bodies(sqs, "send-queue") == []


def test_recipients_per_message_is_the_environments(sqs: Any, send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for few; what is no number is said before anything is sent."""
    monkeypatch.setenv("RECIPIENTS_PER_MESSAGE", "2")
    send(content="hello", channel="line", recipients=people(5))
    assert [len(body["recipients"]) for body in bodies(sqs, "send-queue")] == [2, 2, 1]
    for bad in ("0", "-1", "many", "1.5", "99999"):
        monkeypatch.setenv("RECIPIENTS_PER_MESSAGE", bad)
        with pytest.raises(Misconfigured, match=f"RECIPIENTS_PER_MESSAGE is '{bad}'"):
            send(content="hello", channel="line", recipients=people(5))
    assert bodies(sqs, "send-queue") == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"recipients": []}, "no recipients"),
        ({"recipients": [*people(300), {"email": "x@example.com"}]}, "recipient 300 has no id"),
        ({"channel": "fax"}, "unknown channel"),
        ({"content": "x" * MOST_BYTES}, "more than a message"),
        ({"recipients": [*people(300), {"id": "x", "y": {1, 2}}]}, "recipient 300 has a value that JSON cannot say"),
    ],
)
def test_what_cannot_be_sent_is_a_value_error_and_nothing_is_sent(
    sqs: Any, send: Send, changes: dict[str, Any], why: str
) -> None:
    """Not even the messages before the one that is wrong."""
    given = {"content": "hello", "channel": "sms", "recipients": people(3)} | changes
    with pytest.raises(ValueError, match=why):
        send(**given)
    assert bodies(sqs, "send-queue") + bodies(sqs, "batch-queue") == []


def test_the_services_are_imported_without_any_environment(python: Callable[..., subprocess.Popen[bytes]]) -> None:
    """A web application imports them, and knows its queues later; that of the domains as well."""
    source = """
import os
os.environ.clear()
from apps.notifications.service import SendFailed, send_service, sqs_queue_manager
from apps.domain_operations.service import send_domain_activation, send_domain_batch
"""
    assert python(source).wait(60) == 0


@pytest.mark.parametrize("name", QUEUES)
def test_a_queue_that_is_not_named_is_said(sqs: Any, send: Send, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """By the variable that is missing."""
    monkeypatch.delenv(name)
    count = 5 if name == "SQS_SEND_QUEUE_URL" else 6
    with pytest.raises(Misconfigured, match=f"{name} is not set"):
        send(content="hello", channel="sms", recipients=people(count))


def test_send_failed_names_exactly_those_who_were_not_sent_to(
    sqs: Any, send: Send, sqs_server: SqsServerProcess
) -> None:
    """SQS refuses three entries of a batch for good: their recipients are unsent, all others are in the queue."""
    sqs_server.set_faults(
        {
            "effect": "fail_entries",
            "action": "SendMessageBatch",
            "queue": "batch-queue",
            "positions": [1, 4, 5],
            "code": "AccessDenied",
            "message": "not you",
            "sender_fault": True,
            "count": 1,
        }
    )
    given = people(750)
    with pytest.raises(SendFailed) as raised:
        send(content="hello", channel="webhook", recipients=given)
    assert [use["used"] for use in sqs_server.clear_faults()] == [1]
    found = bodies(sqs, "batch-queue")
    assert [body["chunk"] for body in found] == [0, 2, 3, 6, 7]
    assert {body["batch_id"] for body in found} == {raised.value.batch_id}
    assert raised.value.unsent == given[100:200] + given[400:600]
    assert "not sent to 300 recipients: AccessDenied: not you" in str(raised.value)
    assert "example.com" not in str(raised.value)
    sent = [recipient for body in found for recipient in body["recipients"]]
    assert sorted(one["id"] for one in sent + raised.value.unsent) == sorted(one["id"] for one in given)


def test_what_fails_for_a_moment_is_sent_after_all(sqs: Any, send: Send, sqs_server: SqsServerProcess) -> None:
    """Entries that are not the sender's fault are tried again: no error, and every recipient once."""
    sqs_server.set_faults(
        {
            "effect": "fail_entries",
            "action": "SendMessageBatch",
            "positions": [0, 2],
            "code": "InternalError",
            "count": 2,
        }
    )
    send(content="hello", channel="webhook", recipients=people(400))
    assert [use["used"] for use in sqs_server.clear_faults()] == [2]
    assert [recipient for body in bodies(sqs, "batch-queue") for recipient in body["recipients"]] == people(400)


def test_a_queue_that_is_gone_leaves_all_unsent(sqs: Any, send: Send) -> None:
    """SendFailed, with every recipient."""
    sqs.delete_queue(QueueUrl=url(sqs, "send-queue"))
    with pytest.raises(SendFailed) as raised:
        send(content="hello", channel="webhook", recipients=people(3))
    assert raised.value.unsent == people(3)


def test_sqs_out_of_reach_leaves_all_unsent(sqs: Any, send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time for which it is tried again."""
    monkeypatch.setattr(producers, "_TIMEOUT", 0.3)
    monkeypatch.setenv("AWS_SQS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(SendFailed) as raised:
        send(content="hello", channel="webhook", recipients=people(7))
    assert raised.value.unsent == people(7)


def test_settings_that_make_no_client_leave_all_unsent(sqs: Any, send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown profile, for one; the reason says it."""
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("AWS_REGION", "eu-west-2")  # another target than that of the tests before
    with pytest.raises(SendFailed, match="nobody") as raised:
        send(content="hello", channel="webhook", recipients=people(7))
    assert raised.value.unsent == people(7)


def test_the_endpoint_must_be_https_or_this_machine(sqs: Any, send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contents and addresses would travel in clear."""
    monkeypatch.setenv("AWS_SQS_ENDPOINT_URL", "http://sqs.example.com")
    with pytest.raises(Misconfigured, match="AWS_SQS_ENDPOINT_URL leads to another machine in clear"):
        send(content="hello", channel="webhook", recipients=people(1))


def test_debug_tells_of_what_is_queued_without_content_or_address(
    sqs: Any, send: Send, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With DEBUG=1, by batch id; without it nothing."""
    monkeypatch.setattr("apps.notifications.environment.LOG.level", 0)
    monkeypatch.setenv("DEBUG", "")
    send(content="secret", channel="email", recipients=people(3))
    assert [record for record in caplog.records if record.name == "apps.notifications"] == []
    monkeypatch.setenv("DEBUG", "1")
    with caplog.at_level("DEBUG", "apps.notifications"):
        batch_id = send(content="secret", channel="email", recipients=people(3))["batch_id"]
    told = [record.getMessage() for record in caplog.records if record.name == "apps.notifications"]
    assert told == [f"batch {batch_id}: messages 1, recipients 3, queue {url(sqs, 'send-queue')}"]


def test_many_loops_and_threads_may_send(sqs: Any) -> None:
    """Loops one after the other, loops at once in threads, and calls at once in one loop: every message arrives."""

    async def at_once(first: int) -> None:
        sends: list[Awaitable[Any]] = [
            send_service.send_message(content=str(number), channel="line", recipients=people(1))
            for number in range(first, first + 20)
        ]
        await asyncio.gather(*sends)

    for first in (0, 20):
        asyncio.run(at_once(first))
    threads = [threading.Thread(target=lambda first=first: asyncio.run(at_once(first))) for first in (40, 60, 80)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(int(body["content"]) for body in bodies(sqs, "send-queue")) == list(range(100))


def test_a_producer_goes_on_to_the_next_loop(sqs: Any) -> None:
    """A program that calls asyncio.run for each notification has one connection and one thread for them, not many."""
    service = SendService()
    for _ in range(3):
        asyncio.run(service.send_message(content="x", channel="line", recipients=people(1)))
    assert len(service._producers._of_loops) == 1


async def waits_for(loop_goes_on: threading.Event, done: Awaitable[Any]) -> Any:
    """Awaits `done` in a loop that sets the event as soon as it turns."""
    asyncio.get_running_loop().call_soon(loop_goes_on.set)
    return await done


def test_the_loop_goes_on_while_a_notification_is_written_down(sqs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many recipients are much JSON: other coroutines do not wait for it."""
    goes_on, turned = threading.Event(), []

    def patient(batch_id: str, **given: Any) -> list[Chunk]:
        turned.append(goes_on.wait(10))
        return cut(batch_id, **given)

    monkeypatch.setattr(service, "cut", patient)
    send = send_service.send_message(content="x", channel="line", recipients=people(1))
    assert asyncio.run(waits_for(goes_on, send))["status"] == "queued"
    assert turned == [True]


def test_the_loop_goes_on_while_a_client_is_made(sqs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may ask the network for credentials, for seconds."""
    goes_on, turned, make = threading.Event(), [], boto3.client

    def patient(name: str, **given: Any) -> Any:
        turned.append(goes_on.wait(10))
        return make(name, **given)

    queues._client.cache_clear()
    monkeypatch.setattr(boto3, "client", patient)
    assert asyncio.run(waits_for(goes_on, sqs_queue_manager.get_queue_statistics()))
    assert turned == [True]


def test_statistics_count_every_queue(sqs: Any) -> None:
    """Visible, in flight and delayed of all four."""
    send_service.send_message_sync(content="hello", channel="line", recipients=people(300))
    sqs.receive_message(QueueUrl=url(sqs, "batch-queue"), MaxNumberOfMessages=2)
    sqs.send_message(QueueUrl=url(sqs, "send-queue"), MessageBody="x", DelaySeconds=60)
    sqs.send_message(QueueUrl=url(sqs, "send-dlq"), MessageBody="x")
    seen = asyncio.run(sqs_queue_manager.get_queue_statistics())
    assert seen["batch_queue"]["visible"] + seen["batch_queue"]["in_flight"] == 3
    assert seen["batch_queue"]["in_flight"] >= 1
    assert seen["send_queue"] == {"visible": 0, "in_flight": 0, "delayed": 1}
    assert seen["send_dlq"] == {"visible": 1, "in_flight": 0, "delayed": 0}
    assert seen["batch_dlq"] == {"visible": 0, "in_flight": 0, "delayed": 0}


def test_statistics_name_the_queue_that_cannot_be_read(sqs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its variable; one that is not set is named as well."""
    sqs.delete_queue(QueueUrl=url(sqs, "batch-dlq"))
    with pytest.raises(QueueUnreadable, match="SQS_BATCH_DLQ_URL"):
        asyncio.run(sqs_queue_manager.get_queue_statistics())
    monkeypatch.delenv("SQS_SEND_DLQ_URL")
    with pytest.raises(Misconfigured, match="SQS_SEND_DLQ_URL is not set"):
        asyncio.run(sqs_queue_manager.get_queue_statistics())
