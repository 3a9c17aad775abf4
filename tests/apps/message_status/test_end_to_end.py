"""Test process: message_status as it is run, `worker run` in processes of its own against the SQS server."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from tests.apps.conftest import RunApp, depth, make_queue, take_all

COUNT = 40

pytestmark = pytest.mark.system


def make_queues(sqs: Any) -> dict[str, str]:
    """As the README makes them: DLQ is StatusUpdateQueue's dead-letter queue, and has one of its own."""
    urls: dict[str, str] = {}
    for name, target in {"EventQueue": "", "DLQ-dlq": "", "DLQ": "DLQ-dlq", "StatusUpdateQueue": "DLQ"}.items():
        urls[name] = make_queue(sqs, f"message-status-{name}", dead_letter=urls.get(target, ""))
    return urls


def status(number: int, kind: str) -> dict[str, Any]:
    response = {"code": number, "big": 2**80, "text": "Zoë \u2603", "nothing": None}
    return {
        "snsMessageId": f"{kind}-{number}",
        "deliveryStatus": "SUCCESS",
        "providerResponse": response,
        "timestamp": 1.5,
    }


@pytest.mark.usefixtures("sqs_endpoint")
def test_statuses_of_both_queues_become_events_and_what_is_broken_is_kept(run_app: RunApp) -> None:
    """Each status is one event with its values unchanged; a broken one ends, unchanged, in the last dead-letter queue.

    The log tells its message id and the reason; after SIGTERM the pool exits 0 and nothing is left in flight.
    """
    sqs = boto3.client("sqs")
    urls = make_queues(sqs)
    for number in range(COUNT):
        for name in ("StatusUpdateQueue", "DLQ"):
            sqs.send_message(QueueUrl=urls[name], MessageBody=json.dumps(status(number, name)))
    broken = sqs.send_message(QueueUrl=urls["StatusUpdateQueue"], MessageBody='{"snsMessageId": "broken"}')["MessageId"]

    def depths(*names: str) -> tuple[tuple[int, int], ...]:
        return tuple(depth(sqs, urls[name]) for name in names)

    environment = {
        "STATUS_UPDATE_QUEUE_URL": urls["StatusUpdateQueue"],
        "DLQ_URL": urls["DLQ"],
        "EVENT_QUEUE_URL": urls["EventQueue"],
        "POLL_INTERVAL": "1",
    }
    with run_app("message_status", environment) as pool:
        pool.until(lambda: depths("EventQueue", "DLQ-dlq") == ((2 * COUNT, 0), (1, 0)))
        pool.drain()
    assert depths("StatusUpdateQueue", "DLQ") == ((0, 0), (0, 0))
    assert [one["Body"] for one in take_all(sqs, urls["DLQ-dlq"])] == ['{"snsMessageId": "broken"}']
    events = [json.loads(one["Body"]) for one in take_all(sqs, urls["EventQueue"])]
    seen = sorted((e["sourceQueue"], e["messageId"], e["status"], repr(e["response"]), e["timestamp"]) for e in events)
    sent = [(name, status(number, name)) for number in range(COUNT) for name in ("StatusUpdateQueue", "DLQ")]
    assert seen == sorted(
        (name, one["snsMessageId"], one["deliveryStatus"], repr(one["providerResponse"]), one["timestamp"])
        for name, one in sent
    )
    told = [one for one in pool.lines() if one.get("message") == broken and "missing fields" in str(one.get("error"))]
    assert {line["queue"] for line in told} == {"status-update", "dlq"}
