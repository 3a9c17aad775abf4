"""Command line: how `worker demo domain_operations` shows this application: domains, orders and notifications."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from worker.testing.demonstration import Demonstration, DemonstrationQueue

_ENVIRONMENT, _ACCOUNT, _REGION = "demo", "000000000000", "us-east-1"
_TABLE, _BUCKET, _ORDERS, _NOTIFICATIONS, _ALERTS = "domains", "domains", "orders", "notifications", "alerts"
_TOPIC = f"arn:aws:sns:{_REGION}:{_ACCOUNT}:{_ALERTS}"
_QUEUES = ("domain-queue", "notification", "order-processing")
#: Of so many messages one asks for what there is not, and becomes a dead letter, which is announced and deleted.
_BROKEN_EVERY = 100


@dataclass(frozen=True)
class _Sent:
    """One message of the demonstration: a change of a domain, or an order (its number)."""

    domain: str = ""
    action: str = ""
    key: str = ""
    order: int = -1


def plan(count: int) -> Iterator[_Sent]:
    """Of ten messages five activate, one does so again with a used key, one deactivates; two are orders, one twice."""
    for number in range(count):
        ten, kind = divmod(number, 10)
        if number % _BROKEN_EVERY == 50:
            yield _Sent(domain=f"shop-{number}.example", action="suspend")
        elif kind < 5:
            yield _Sent(domain=f"shop-{ten}-{kind}.example", action="activate", key=f"key-{ten}-{kind}")
        elif kind == 5:
            yield _Sent(domain=f"shop-{ten}-1.example", action="activate", key=f"key-{ten}-1")
        elif kind == 6:
            yield _Sent(domain=f"shop-{ten}-2.example", action="deactivate", key=f"key-{ten}-off")
        else:
            yield _Sent(order=10 * ten + min(kind, 8))


def environment(urls: Mapping[str, str]) -> dict[str, str]:
    """The variables of worker.toml and of the handler functions; those that could lead elsewhere are empty."""
    return {
        "ENVIRONMENT": _ENVIRONMENT,
        "DOMAIN_QUEUE_URL": urls[f"domain-queue-{_ENVIRONMENT}"],
        "DOMAIN_QUEUE_DLQ_URL": urls[f"domain-queue-{_ENVIRONMENT}-dlq"],
        "DOMAIN_TABLE": _TABLE,
        "DOMAINS_BUCKET": _BUCKET,
        "ORDERS_TABLE": _ORDERS,
        "NOTIFICATIONS_TABLE": _NOTIFICATIONS,
        "ALERT_TOPIC_ARN": _TOPIC,
        "RECORDING_FILE": f"{urls['DEMO_FOLDER']}/recording.jsonl",
        **dict.fromkeys(("STEP_FUNCTIONS_ARN", "DOMAIN_QUEUE_ROLE_ARN", "ROUTE53_ROLE_ARN"), ""),
    }


def prepare() -> None:
    """Tables, bucket and topic; and a queue that subscribes to it, in moto's own SQS, for counting."""
    import boto3

    from apps.domain_operations import clients, provision
    from apps.notifications.provision import make_table

    provision.make_table(_TABLE, "domain")
    provision.make_table(_ORDERS, "order_id")
    make_table(clients.dynamodb(), _NOTIFICATIONS)
    provision.make_bucket(_BUCKET)
    clients.sns().create_topic(Name=_ALERTS)
    boto3.client("sqs", endpoint_url=os.environ["AWS_ENDPOINT_URL"]).create_queue(QueueName=_ALERTS)
    clients.sns().subscribe(TopicArn=_TOPIC, Protocol="sqs", Endpoint=f"arn:aws:sqs:{_REGION}:{_ACCOUNT}:{_ALERTS}")


def send(count: int) -> int:
    """Changes by the service; orders, and what the service would refuse, past it."""
    from apps.domain_operations.service import send_domain_batch
    from worker import Producer, Sending

    messages = list(plan(count))
    changes = [one for one in messages if one.key]
    sent = send_domain_batch(
        [{"name": one.domain, "action": one.action, "idempotency_key": one.key} for one in changes]
    )
    if sent["Failed"]:
        raise RuntimeError(f"not sent: {sent['Failed'][0]}")
    with Producer(os.environ["DOMAIN_QUEUE_URL"]) as domains:
        broken = [{"domain": one.domain, "action": one.action} for one in messages if one.action == "suspend"]
        domains.send_many(Sending(json.dumps(body)) for body in broken)
    with Producer(f"order-processing-{_ENVIRONMENT}") as orders:
        orders.send_many(Sending(json.dumps(_order(one.order))) for one in messages if one.order >= 0)
    return count


def _order(number: int) -> dict[str, Any]:
    recipients = [{"id": f"customer-{number}"}, {"id": "warehouse"}]
    return {
        "order_id": f"order-{number}",
        "channel": "recording",
        "content": "It is on its way",
        "recipients": recipients,
    }


def expected(count: int) -> dict[str, int]:
    """What `counts` finds after so many messages: each domain as its last change says, whatever the order."""
    messages = list(plan(count))
    last = {one.domain: one.action for one in messages if one.key}
    domains = Counter(last.values())
    orders = {one.order for one in messages if one.order >= 0}
    return {
        "active": domains["activate"],
        "inactive": domains["deactivate"],
        "zones": domains["activate"],
        "active_in_domains_json": domains["activate"],
        "inactive_in_domains_json": domains["deactivate"],
        "orders_notified": len(orders),
        "recipients_reached": 2 * len(orders),
        "delivered_twice": 0,
        "alerts": sum(one.action == "suspend" for one in messages),
    }


def counts() -> dict[str, int]:
    """What table, zones, file, recording and topic hold."""
    import boto3

    from apps.domain_operations import clients
    from apps.domain_operations.domains_file import KEY

    rows = Counter(item["status"]["S"] for item in _scan(_TABLE))
    zones: Any = clients.route53().get_paginator("list_hosted_zones").paginate()
    s3 = clients.s3()
    try:
        file = json.loads(s3.get_object(Bucket=_BUCKET, Key=KEY)["Body"].read())["domains"]
    except s3.exceptions.NoSuchKey:
        file = {}
    listed = Counter(entry["status"] for entry in file.values())
    try:
        with open(os.environ["RECORDING_FILE"]) as recording:  # noqa: PTH123 - read line by line
            keys = [json.loads(line)["key"] for line in recording]
    except FileNotFoundError:
        keys = []  # too few messages for an order
    inbox = boto3.client("sqs", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    url = inbox.get_queue_url(QueueName=_ALERTS)["QueueUrl"]
    depth = inbox.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
    return {
        "active": rows["active"],
        "inactive": rows["inactive"],
        "zones": sum(len(page["HostedZones"]) for page in zones),
        "active_in_domains_json": listed["active"],
        "inactive_in_domains_json": listed["inactive"],
        "orders_notified": sum(item["status"]["S"] == "notified" for item in _scan(_ORDERS)),
        "recipients_reached": len(set(keys)),
        "delivered_twice": len(keys) - len(set(keys)),
        "alerts": int(depth["ApproximateNumberOfMessages"]),
    }


def _scan(table: str) -> Iterator[dict[str, Any]]:
    from apps.domain_operations import clients

    pages: Any = clients.dynamodb().get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    for page in pages:
        yield from page["Items"]


def faults(sent: int, counted: Mapping[str, int]) -> list[str]:
    """One zone and one entry for each active domain, one row for each order, one alert for each dead letter."""
    return [
        f"{name.replace('_', ' ')}: {counted[name]:,} instead of {value:,}"
        for name, value in expected(sent).items()
        if counted[name] != value
    ]


DEMONSTRATION = Demonstration(
    about="domains are activated and deactivated: a zone, a row and an entry of domains.json each; orders are notified "
    "once; a few messages are broken, and announced as dead letters",
    queues=tuple(
        queue
        for name in (f"{kind}-{_ENVIRONMENT}" for kind in _QUEUES)
        for queue in (
            DemonstrationQueue(name=name, dead_letter=f"{name}-dlq"),
            DemonstrationQueue(name=f"{name}-dlq"),
        )
    ),
    environment=environment,
    services=True,
    scratch=True,
    prepare=prepare,
    send=send,
    counts=counts,
    faults=faults,
)
