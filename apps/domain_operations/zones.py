"""Handler process: hosted zones in Route 53: found by the id in the row, or by the CallerReference, before any is made.

AWS makes one zone for a CallerReference. moto makes two, and an answer may be lost anywhere: so a zone that a killed
predecessor made, and never wrote down, is looked up by its name and its reference.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import ClientError

from apps.domain_operations.clients import code, throttled
from apps.domain_operations.rules import Row, caller_reference, is_ours

if TYPE_CHECKING:
    from mypy_boto3_route53 import Route53Client
    from mypy_boto3_route53.type_defs import HostedZoneTypeDef

_T = TypeVar("_T")

#: Longest pauses in seconds after the first, second, ... answer that asks to slow down. Route 53 takes five requests a
#: second of a whole account, and a message has three receives in all: a few seconds here are cheaper than one of them.
#: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html
PAUSES = (1.0, 2.0, 4.0)


class ReferenceUsed(Exception):
    """Route 53 has made a zone for this CallerReference already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A hosted zone."""

    id: str  #: without the leading /hostedzone/
    name_servers: tuple[str, ...]


class Zones:
    """The hosted zones of one account. Each method raises ClientError; one that is `throttled` after all `pauses`."""

    def __init__(
        self, client: Route53Client, *, pauses: Sequence[float] = PAUSES, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self._pauses = pauses
        self._sleep = sleep

    def find(self, row: Row) -> Zone | None:
        """The zone that the row names, or else one that was made for an activation of it; None if there is neither."""
        if row.hosted_zone_id and (zone := self._get(row.hosted_zone_id)):
            return zone
        ours = [found for found in self._named(row.domain) if is_ours(found["CallerReference"], row)]
        return next(filter(None, (self._get(found["Id"]) for found in ours)), None)

    def create(self, row: Row) -> Zone:
        """A zone for the row's generation. Raises ReferenceUsed."""
        reference = caller_reference(row.domain, row.generation)
        try:
            made = self._patiently(
                lambda: self._client.create_hosted_zone(
                    Name=row.domain, CallerReference=reference, HostedZoneConfig={"Comment": "domain_operations"}
                )
            )
        except ClientError as error:
            if code(error) == "HostedZoneAlreadyExists":
                raise ReferenceUsed(reference) from None
            raise
        return _zone(made["HostedZone"]["Id"], made["DelegationSet"]["NameServers"])

    def delete(self, zone: Zone, domain: str) -> bool:
        """Delete a zone that holds only its own NS and SOA, or is gone already; False if it holds more, and stays."""
        try:
            if any(self._foreign_records(zone, domain)):
                return False
            self._patiently(lambda: self._client.delete_hosted_zone(Id=zone.id))
        except ClientError as error:
            if code(error) == "HostedZoneNotEmpty":  # somebody added a record just now
                return False
            if code(error) != "NoSuchHostedZone":
                raise
        return True

    def _get(self, zone_id: str) -> Zone | None:
        try:
            answer = self._patiently(lambda: self._client.get_hosted_zone(Id=zone_id))
        except ClientError as error:
            if code(error) == "NoSuchHostedZone":
                return None
            raise
        return _zone(answer["HostedZone"]["Id"], answer.get("DelegationSet", {}).get("NameServers", []))

    def _named(self, domain: str) -> Iterator[HostedZoneTypeDef]:
        """All zones of this very name. The list begins there and goes on with other names."""
        start: dict[str, str] = {"DNSName": domain}
        while start:
            answer = self._patiently(partial(self._client.list_hosted_zones_by_name, **start))
            for zone in answer["HostedZones"]:
                if zone["Name"].removesuffix(".") != domain:
                    return
                yield zone
            more = answer.get("IsTruncated")  # moto leaves it out
            start = {"DNSName": answer["NextDNSName"], "HostedZoneId": answer["NextHostedZoneId"]} if more else {}

    def _foreign_records(self, zone: Zone, domain: str) -> Iterator[str]:
        """Types of the records that Route 53 did not make itself: NS below the apex delegates a subdomain."""
        # One page: the zone's own two records and a third.
        answer = self._patiently(lambda: self._client.list_resource_record_sets(HostedZoneId=zone.id, MaxItems="3"))
        for record in answer["ResourceRecordSets"]:
            if record["Type"] not in {"NS", "SOA"} or record["Name"].removesuffix(".") != domain:
                yield record["Type"]

    def _patiently(self, call: Callable[[], _T]) -> _T:
        """Make the call again while Route 53 asks to slow down, as long as there are pauses."""
        for pause in self._pauses:
            try:
                return call()
            except ClientError as error:
                if not throttled(error):
                    raise
            self._sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads processes over time, hides nothing
        return call()


def _zone(zone_id: str, name_servers: Sequence[str]) -> Zone:
    return Zone(id=zone_id.removeprefix("/hostedzone/"), name_servers=tuple(name_servers))
