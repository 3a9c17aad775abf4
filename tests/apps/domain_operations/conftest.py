"""Test process: the resources of domain_operations in moto's server, as its README makes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from apps.domain_operations import clients
from apps.domain_operations.domains_file import KEY, DomainsFile
from apps.domain_operations.operations import Operations
from apps.domain_operations.table import DomainTable
from apps.domain_operations.zones import Zones

TABLE, BUCKET = "domains", "storefront-domains"


@dataclass(frozen=True)
class Resources:
    """What is in the table, the bucket and the account's zones."""

    dynamodb: Any
    s3: Any
    route53: Any

    def item(self, domain: str) -> dict[str, Any]:
        return dict(self.dynamodb.Table(TABLE).get_item(Key={"domain": domain}, ConsistentRead=True).get("Item", {}))

    def file(self) -> dict[str, Any]:
        """What domains.json says of each domain."""
        try:
            body = self.s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read()
        except self.s3.exceptions.NoSuchKey:
            return {}
        found: dict[str, Any] = json.loads(body)["domains"]
        return found

    def zones(self) -> list[tuple[str, str]]:
        """The name and the CallerReference of every zone there is, in order."""
        pages = self.route53.get_paginator("list_hosted_zones").paginate()
        found = [zone for page in pages for zone in page["HostedZones"]]
        return sorted((zone["Name"].removesuffix("."), zone["CallerReference"]) for zone in found)

    def add_record(self, zone_id: str, name: str, kind: str = "TXT", value: str = '"x"') -> None:
        record = {"Name": name, "Type": kind, "TTL": 60, "ResourceRecords": [{"Value": value}]}
        changes = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
        self.route53.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch=changes)


@pytest.fixture
def resources(aws_services: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Resources]:
    """The table and the bucket, both empty, no zone, and the variables that name them."""
    monkeypatch.setenv("DOMAIN_TABLE", TABLE)
    monkeypatch.setenv("DOMAINS_BUCKET", BUCKET)
    for name in ("ENVIRONMENT", "DOMAIN_QUEUE_URL", "DOMAIN_QUEUE_DLQ_URL", "ORDERS_TABLE", "ALERT_TOPIC_ARN"):
        monkeypatch.delenv(name, raising=False)
    dynamodb = boto3.resource("dynamodb")
    dynamodb.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "domain", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "domain", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    found = Resources(dynamodb, s3, boto3.client("route53"))
    yield found
    for client in (dynamodb.meta.client, s3, found.route53):
        client.close()


@pytest.fixture
def operations(resources: Resources) -> Operations:
    """As a handler process has them, without any patience."""
    return Operations(
        table=DomainTable(clients.dynamodb(), TABLE),
        zones=Zones(clients.route53(), pauses=()),
        file=DomainsFile(clients.s3(), BUCKET),
        patience=0.0,
    )
