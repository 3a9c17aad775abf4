"""Test process: domain_operations as it is run: `worker run` against the strict SQS server, moto, and a strict S3."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest

from apps.domain_operations.provision import provision
from apps.domain_operations.rules import caller_reference
from apps.domain_operations.service import send_domain_activation, send_domain_batch
from tests.apps.conftest import RunApp, depth, make_queue, take_all
from tests.apps.domain_operations.conftest import BUCKET, TABLE, Resources
from tests.apps.domain_operations.strict_s3 import StrictS3, strict_s3
from worker import Producer, Sending

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

DOMAINS, KILLS = 24, 6


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[StrictS3]:
    with strict_s3() as store:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", store.url)
        yield store


def domains_json(s3: StrictS3) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(s3.objects[f"/{BUCKET}/domains.json"])["domains"]
    return found


def rows(resources: Resources) -> dict[str, dict[str, Any]]:
    items = resources.dynamodb.Table(TABLE).scan(ConsistentRead=True)["Items"]
    return {item["domain"]: item for item in items}


def active(resources: Resources) -> int:
    return sum(row["status"] == "active" for row in rows(resources).values())


def at_least(resources: Resources, number: int) -> bool:
    return active(resources) >= number


def test_handlers_killed_in_the_middle_leave_one_zone_for_each_domain(
    resources: Resources, s3: StrictS3, run_app: RunApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing but the domain queue's URL. Six SIGKILLs while activations run: every domain has exactly one zone,
    a row and an entry that agree; then all are deactivated, and no zone is left over."""
    sqs = boto3.client("sqs")
    dead = make_queue(sqs, "kills-dlq")
    url = make_queue(sqs, "kills-domain-queue", dead_letter=dead, receives=3)
    monkeypatch.setenv("DOMAIN_QUEUE_URL", url)
    names = [f"d{number}.example" for number in range(DOMAINS)]
    assert send_domain_batch([{"name": name, "action": "activate"} for name in names])["Failed"] == []
    killed = []
    sets = ("queues.domains.wait=1", "queues.domains.spares=2", "queues.domains.retry.first=1")
    with run_app("domain_operations", {}, sets=sets) as pool:
        for kill in range(KILLS):
            # Some have gone through since the last kill, so that no message meets three of them.
            pool.until(partial(at_least, resources, 3 * kill + 1), seconds=120)
            pool.until(lambda: pool.handlers("domains", state="busy"))
            busy = pool.handlers("domains", state="busy")
            if busy:
                killed.append(random.choice(busy))
                os.kill(killed[-1], signal.SIGKILL)
        pool.until(lambda: active(resources) == DOMAINS and depth(sqs, url) == (0, 0), seconds=120)
        assert resources.zones() == sorted((name, caller_reference(name, 1)) for name in names)
        found = rows(resources)
        assert {row["generation"] for row in found.values()} == {1}
        assert domains_json(s3) == {
            name: {"status": "active", "tenant_id": None, "hosted_zone_id": found[name]["hosted_zone_id"]}
            for name in names
        }
        send_domain_batch([{"name": name, "action": "deactivate"} for name in names])
        pool.until(lambda: active(resources) == 0 and depth(sqs, url) == (0, 0), seconds=120)
        pool.drain()
    assert len(killed) >= KILLS - 2
    assert {row["status"] for row in rows(resources).values()} == {"inactive"}
    assert (resources.zones(), depth(sqs, dead)) == ([], (0, 0))
    assert {entry["status"] for entry in domains_json(s3).values()} == {"inactive"}
    [started] = [line for line in pool.lines() if line["event"] == "supervisor_started"]
    assert list(started["queues"]) == ["domains"]
    assert "orders" in started["left_out"]


def state_machine() -> str:
    definition = json.dumps({"StartAt": "Resize", "States": {"Resize": {"Type": "Pass", "End": True}}})
    role = "arn:aws:iam::000000000000:role/images"
    made = boto3.client("stepfunctions").create_state_machine(name="images", definition=definition, roleArn=role)
    return str(made["stateMachineArn"])


def image(number: int) -> str:
    about: dict[str, Any] = {
        "imageId": f"i-{number}",
        "userId": "u-1",
        "s3Key": f"uploads/u-1/i-{number}.png",
        "fileName": "i.png",
    }
    about |= {"fileSize": 7, "fileType": "image/png", "uploadTimestamp": "2026-01-31T12:00:00.000Z"}
    return json.dumps(about | {"bucketName": "uploads", "objectVersion": f"v-{number}"})


def order(number: int) -> str:
    recipients = [{"id": f"customer-{number}"}, {"id": "warehouse"}]
    return json.dumps({"order_id": f"o-{number}", "recipients": recipients, "channel": "recording", "content": "sent"})


def send(environment: str, kind: str, bodies: list[str]) -> None:
    with Producer(f"{kind}-{environment}") as producer:
        assert producer.send_many(Sending(body) for body in bodies).failed == []


def recorded(file: Path) -> list[str]:
    return sorted(json.loads(line)["key"] for line in file.read_text().splitlines()) if file.exists() else []


def alerts(topic: str) -> list[dict[str, Any]]:
    """What a queue of moto's that was subscribed to the topic has got."""
    sqs = boto3.client("sqs", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    url = sqs.create_queue(QueueName="alerts")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns = boto3.client("sns")
    if not sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]:
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return [json.loads(json.loads(message["Body"])["Message"]) for message in take_all(sqs, url)]


@pytest.mark.usefixtures("resources")
def test_an_environment_runs_all_queues_of_the_system(
    run_app: RunApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made by `provision`, found by ENVIRONMENT alone (SSM): domains, images, orders and notifications are handled, an
    order that comes twice is placed once; every dead letter is announced, and gone after that."""
    made = provision("e2e")
    sqs, topic = boto3.client("sqs"), made["ALERT_TOPIC_ARN"]
    alerts(topic)  # subscribes
    boto3.client("dynamodb").create_table(
        TableName="images",
        KeySchema=[{"AttributeName": "imageId", "KeyType": "HASH"}, {"AttributeName": "userId", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("imageId", "userId")],
        BillingMode="PAY_PER_REQUEST",
    )
    machine, recording = state_machine(), tmp_path / "recording.jsonl"
    environment = {**made, "STEP_FUNCTIONS_ARN": machine, "DYNAMODB_TABLE": "images", "RECORDING_FILE": str(recording)}
    monkeypatch.setenv("ENVIRONMENT", "e2e")
    send_domain_activation("shop.example", "activate", tenant_id="t-1")
    send("e2e", "domain-queue", ['{"domain": "shop.example", "action": "suspend"}'])
    send("e2e", "image-processing", [image(1), image(1), image(2), "{}"])
    send("e2e", "order-processing", [order(1), order(1), order(2), '{"order_id": "o-3"}'])
    send("e2e", "notification", ["{}"])
    queues = [
        f"{kind}-e2e{dlq}"
        for kind in ("domain-queue", "image-processing", "order-processing", "notification")
        for dlq in ("", "-dlq")
    ]
    urls = [sqs.get_queue_url(QueueName=name)["QueueUrl"] for name in queues]
    tables = [f"{name}{dlq}" for name in ("domains", "images", "orders", "notifications") for dlq in ("", "-dlq")]
    sets = [f"queues.{table}.{one}" for table in tables for one in ("wait=1", "spares=0")]
    with run_app("domain_operations", environment, sets=sets) as pool:
        pool.until(lambda: len(recorded(recording)) >= 4, seconds=120)
        pool.until(lambda: all(depth(sqs, url) == (0, 0) for url in urls), seconds=120)
        pool.drain()
    dynamodb = boto3.resource("dynamodb")
    row = dynamodb.Table(made["DOMAIN_TABLE"]).get_item(Key={"domain": "shop.example"})["Item"]
    assert (row["status"], row["tenant_id"]) == ("active", "t-1")
    orders = dynamodb.Table(made["ORDERS_TABLE"]).scan()["Items"]
    assert {item["order_id"]: item["status"] for item in orders} == {"o-1": "notified", "o-2": "notified"}
    batches = {str(item["order_id"]): str(item["batch_id"]) for item in orders}
    expected = [f"{batches[one]}:{to}" for one in ("o-1", "o-2") for to in (f"customer-{one[2:]}", "warehouse")]
    assert recorded(recording) == sorted(expected)
    images = dynamodb.Table("images").scan()["Items"]
    assert sorted(str(item["imageId"]) for item in images) == ["i-1", "i-2"]
    told = sorted((alert["queue"], alert["body"]) for alert in alerts(topic))
    assert told == [
        ("domains-dlq", '{"domain": "shop.example", "action": "suspend"}'),
        ("images-dlq", "{}"),
        ("notifications-dlq", "{}"),
        ("orders-dlq", '{"order_id": "o-3"}'),
    ]
    rejects = [line["event"] for line in pool.lines() if "suspend" in str(line)]
    assert rejects == []  # no body in the log


def test_a_missing_parameter_ends_the_pool(resources: Resources, run_app: RunApp) -> None:
    """Exit code 78, and the log names the parameter."""
    with run_app("domain_operations", {"ENVIRONMENT": "nowhere"}) as pool:
        assert pool.process.wait(90) == 78
    assert any("/storefront-nowhere/sqs/domain-queue-url" in str(line) for line in pool.lines())
