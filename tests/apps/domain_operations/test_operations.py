"""Test process: changes of domains on moto's Route 53, DynamoDB and S3: zones are counted, as moto makes any number."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.domain_operations import domains_file, table, zones
from apps.domain_operations.domains_file import KEY, BrokenFile
from apps.domain_operations.operations import Busy, Operations
from apps.domain_operations.rules import CLAIM, Change, Verdict, claimed, stamp
from apps.domain_operations.table import BrokenRow, Overtaken
from tests.apps.domain_operations.conftest import BUCKET, TABLE, Resources

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
ON = Change(domain="shop.example", action="activate", at=NOON, tenant_id="t-1")
OFF = replace(ON, action="deactivate", at=NOON + timedelta(minutes=1), tenant_id=None)


def later(change: Change, minutes: int) -> Change:
    return replace(change, at=NOON + timedelta(minutes=minutes))


def test_an_activation_makes_a_zone_a_row_and_an_entry(operations: Operations, resources: Resources) -> None:
    """One zone with the first CallerReference; row and file say its id; the row has its name servers."""
    assert operations.apply(ON, owner="m-1") is Verdict.GO
    assert resources.zones() == [("shop.example", "shop.example/1")]
    item = resources.item("shop.example")
    zone = resources.route53.get_hosted_zone(Id=item["hosted_zone_id"])
    assert item["name_servers"] == zone["DelegationSet"]["NameServers"] != []
    assert {name: item[name] for name in ("status", "tenant_id", "generation", "updated_at")} == {
        "status": "active",
        "tenant_id": "t-1",
        "generation": 1,
        "updated_at": "2026-01-31T12:00:00.000000Z",
    }
    assert "claimed_by" not in item
    entry = {"status": "active", "tenant_id": "t-1", "hosted_zone_id": item["hosted_zone_id"]}
    assert resources.file() == {"shop.example": entry}
    assert f"/hostedzone/{item['hosted_zone_id']}" == zone["HostedZone"]["Id"]


def test_a_deactivation_deletes_the_zone_and_keeps_the_name(operations: Operations, resources: Resources) -> None:
    """Row and entry stay, inactive, without a zone."""
    operations.apply(ON, owner="m-1")
    operations.apply(OFF, owner="m-2")
    assert resources.zones() == []
    item = resources.item("shop.example")
    assert (item["status"], item["tenant_id"], item["generation"]) == ("inactive", "t-1", 1)
    assert "hosted_zone_id" not in item
    assert resources.file() == {"shop.example": {"status": "inactive", "tenant_id": "t-1", "hosted_zone_id": None}}


def test_every_activation_has_a_reference_of_its_own(operations: Operations, resources: Resources) -> None:
    """Route 53 never makes a second zone for a reference, so each round has the next generation."""
    for round_ in range(3):
        operations.apply(later(ON, 2 * round_), owner=f"on-{round_}")
        assert resources.zones() == [("shop.example", f"shop.example/{round_ + 1}")]
        operations.apply(later(OFF, 2 * round_ + 1), owner=f"off-{round_}")
    assert resources.zones() == []


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [
        ("www.shop.example", "A", "192.0.2.1"),
        ("shop.example", "TXT", '"x"'),
        ("eu.shop.example", "NS", "ns1.elsewhere.example"),
    ],
)
def test_a_zone_with_records_of_others_is_kept(
    operations: Operations, resources: Resources, capfd: pytest.CaptureFixture[str], name: str, kind: str, value: str
) -> None:
    """A record, or the delegation of a subdomain: the zone stays, the domain is inactive, a warning names the zone."""
    operations.apply(ON, owner="m-1")
    zone_id = resources.item("shop.example")["hosted_zone_id"]
    resources.add_record(zone_id, name, kind, value)
    operations.apply(OFF, owner="m-2")
    assert resources.zones() == [("shop.example", "shop.example/1")]
    item = resources.item("shop.example")
    assert (item["status"], item["hosted_zone_id"]) == ("inactive", zone_id)
    assert resources.file()["shop.example"] == {"status": "inactive", "tenant_id": "t-1", "hosted_zone_id": zone_id}
    assert f'"event":"zone_kept","message":"m-2","domain":"shop.example","zone":"{zone_id}"' in capfd.readouterr().err


def test_an_activation_takes_the_kept_zone_again(operations: Operations, resources: Resources) -> None:
    """Its records are live at once; no second zone of the name splits them."""
    operations.apply(ON, owner="m-1")
    zone_id = resources.item("shop.example")["hosted_zone_id"]
    resources.add_record(zone_id, "www.shop.example")
    operations.apply(OFF, owner="m-2")
    operations.apply(later(ON, 2), owner="m-3")
    assert resources.zones() == [("shop.example", "shop.example/1")]
    item = resources.item("shop.example")
    assert (item["status"], item["hosted_zone_id"], item["generation"]) == ("active", zone_id, 2)


def test_a_zone_that_was_deleted_by_hand_is_made_anew(operations: Operations, resources: Resources) -> None:
    """Under the next reference, since the old one is used up; a deactivation of it is no error either."""
    operations.apply(ON, owner="m-1")
    resources.route53.delete_hosted_zone(Id=resources.item("shop.example")["hosted_zone_id"])
    operations.apply(later(ON, 1), owner="m-2")
    assert resources.zones() == [("shop.example", "shop.example/2")]
    resources.route53.delete_hosted_zone(Id=resources.item("shop.example")["hosted_zone_id"])
    operations.apply(later(OFF, 2), owner="m-3")
    assert resources.item("shop.example")["status"] == "inactive"


def test_a_zone_made_by_hand_is_not_touched(operations: Operations, resources: Resources) -> None:
    """One of the same name with another reference is somebody else's: neither adopted nor deleted."""
    resources.route53.create_hosted_zone(Name="shop.example", CallerReference="by hand")
    resources.route53.create_hosted_zone(Name="shop.example.org", CallerReference="shop.example/1")
    operations.apply(ON, owner="m-1")
    assert len(resources.zones()) == 3
    operations.apply(OFF, owner="m-2")
    assert resources.zones() == [("shop.example", "by hand"), ("shop.example.org", "shop.example/1")]


def test_a_domain_that_was_never_active_is_recorded_as_inactive(operations: Operations, resources: Resources) -> None:
    """So that an older activation, which comes later, is known as stale."""
    operations.apply(OFF, owner="m-1")
    assert operations.apply(ON, owner="m-2") is Verdict.STALE
    assert (resources.zones(), resources.item("shop.example")["status"]) == ([], "inactive")
    assert resources.file()["shop.example"]["status"] == "inactive"


def test_a_stale_message_changes_nothing(operations: Operations, resources: Resources) -> None:
    """Neither row, nor zone, nor file: not even the file is written."""
    operations.apply(later(ON, 5), owner="m-1")
    before = resources.item("shop.example"), resources.zones(), resources.s3.head_object(Bucket=BUCKET, Key=KEY)["ETag"]
    assert operations.apply(OFF, owner="m-2") is Verdict.STALE
    after = resources.item("shop.example"), resources.zones(), resources.s3.head_object(Bucket=BUCKET, Key=KEY)["ETag"]
    assert after == before


@pytest.mark.parametrize("action", ["activate", "deactivate"])
def test_a_repeated_key_changes_nothing(operations: Operations, resources: Resources, action: str) -> None:
    """Whatever the message says beside, and however much later it was sent."""
    operations.apply(replace(ON, idempotency_key="k-1"), owner="m-1")
    before = resources.item("shop.example"), resources.zones(), resources.file()
    again = replace(later(ON, 60), action=action, idempotency_key="k-1", tenant_id="t-2")
    assert operations.apply(again, owner="m-2") is Verdict.REPEATED
    assert (resources.item("shop.example"), resources.zones(), resources.file()) == before


def test_an_older_key_is_remembered_too(operations: Operations, resources: Resources) -> None:
    """Activated, deactivated, and the activation sent again with a new timestamp: it stays inactive."""
    operations.apply(replace(ON, idempotency_key="k-1"), owner="m-1")
    operations.apply(replace(OFF, idempotency_key="k-2"), owner="m-2")
    assert operations.apply(replace(later(ON, 60), idempotency_key="k-1"), owner="m-3") is Verdict.REPEATED
    assert (resources.item("shop.example")["status"], resources.zones()) == ("inactive", [])


def test_the_same_message_once_more_makes_no_second_zone(operations: Operations, resources: Resources) -> None:
    """As SQS may deliver it, without any key."""
    operations.apply(ON, owner="m-1")
    zone_id = resources.item("shop.example")["hosted_zone_id"]
    assert operations.apply(ON, owner="m-1") is Verdict.GO
    assert (resources.item("shop.example")["hosted_zone_id"], len(resources.zones())) == (zone_id, 1)


class Died(BaseException):
    """As SIGKILL: no `except Exception` runs."""


#: Every call before and after which a process can be killed on its way through a change, by class and number.
STEPS = [
    *((table.DomainTable, "write", nth) for nth in (1, 2, 3)),
    (table.DomainTable, "read", 1),
    (zones.Zones, "find", 1),
    (zones.Zones, "create", 1),
    (zones.Zones, "delete", 1),
    (domains_file.DomainsFile, "put", 1),
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step[1]}-{step[2]}")
@pytest.mark.parametrize("others", [False, True], ids=["same", "other"])
def test_a_death_anywhere_leaves_one_zone_and_a_change_that_goes_on(
    operations: Operations,
    resources: Resources,
    monkeypatch: pytest.MonkeyPatch,
    step: tuple[Any, str, int],
    after: bool,
    others: bool,
) -> None:
    """A process dies before or after any step of an activation and of a deactivation; the next attempt, of the same
    message or of a newer one once the claim has ended, gets there: one zone, then none, row and file agree."""
    owner, name, nth = step
    whole = getattr(owner, name)
    clock = [1_000_000.0]
    operations = replace(operations, clock=lambda: clock[0])

    def dying(change: Change, message: str) -> None:
        calls = 0

        def step_of(*args: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == nth and not after:
                raise Died
            result = whole(*args)
            if calls == nth:
                raise Died
            return result

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, step_of)
            try:
                operations.apply(change, owner=message)
            except Died:
                if others:
                    clock[0] += CLAIM

    for minutes, change, left in ((0, ON, 1), (10, OFF, 0), (20, ON, 1)):
        dying(later(change, minutes), "first")
        operations.apply(later(change, minutes + others), owner="second" if others else "first")
        item = resources.item("shop.example")
        assert len(resources.zones()) == left
        assert resources.file()["shop.example"]["hosted_zone_id"] == item.get("hosted_zone_id")
        assert resources.file()["shop.example"]["status"] == item["status"] == ("active" if left else "inactive")
        assert item["updated_at"] == stamp(later(change, minutes + others).at)


def test_a_claim_of_another_message_is_waited_for(operations: Operations, resources: Resources) -> None:
    """The exception says how long it can last; once it has ended, the message goes on with what it finds."""
    clock = [1_000_000.0]
    operations = replace(operations, clock=lambda: clock[0])
    operations.table.write(claimed(operations.table.read("shop.example"), ON, owner="dead", now=clock[0]))
    clock[0] += 50
    with pytest.raises(Busy) as raised:
        operations.apply(later(ON, 1), owner="m-2")
    assert raised.value.seconds == pytest.approx(CLAIM - 50)
    clock[0] += raised.value.seconds
    operations.apply(later(ON, 1), owner="m-2")
    assert resources.zones() == [("shop.example", "shop.example/1")]


def test_messages_of_one_domain_at_the_same_time_go_one_after_the_other(
    operations: Operations, resources: Resources
) -> None:
    """Six messages with one key, at once: one makes the change, the others find it made; there is one zone."""
    operations = replace(operations, patience=60.0)
    change = replace(ON, idempotency_key="k-1")
    with ThreadPoolExecutor(6) as pool:
        verdicts = list(pool.map(lambda number: operations.apply(change, owner=f"m-{number}"), range(6)))
    assert sorted(verdict.value for verdict in verdicts) == ["go", *["repeated"] * 5]
    assert (len(resources.zones()), resources.item("shop.example")["generation"]) == (1, 1)


def test_a_change_that_failed_lets_others_go_on_at_once(operations: Operations, resources: Resources) -> None:
    """domains.json is broken: the activation fails, its claim is given back, and the file is left as it was."""
    resources.s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"{broken")
    with pytest.raises(BrokenFile, match="repair it"):
        operations.apply(ON, owner="m-1")
    item = resources.item("shop.example")
    assert (item["status"], "claimed_by" in item) == ("activating", False)
    assert resources.s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read() == b"{broken"
    resources.s3.delete_object(Bucket=BUCKET, Key=KEY)
    operations.apply(later(OFF, 1), owner="m-2")
    assert (resources.zones(), resources.item("shop.example")["status"]) == ([], "inactive")


def test_a_writer_that_was_frozen_beyond_its_claim_undoes_nothing(
    operations: Operations, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes domains.json late, finds its row overtaken, comes again as stale, and mends what it wrote."""
    clock = [1_000_000.0]
    operations = replace(operations, clock=lambda: clock[0])
    put = domains_file.DomainsFile.put

    def late(file: Any, row: Any) -> bool:
        monkeypatch.setattr(domains_file.DomainsFile, "put", put)
        clock[0] += CLAIM
        assert operations.apply(later(OFF, 1), owner="m-2") is Verdict.GO
        return put(file, row)

    monkeypatch.setattr(domains_file.DomainsFile, "put", late)
    with pytest.raises(Overtaken):
        operations.apply(ON, owner="m-1")
    assert resources.file()["shop.example"]["status"] == "active"  # the damage
    assert operations.apply(ON, owner="m-1") is Verdict.STALE
    assert resources.file()["shop.example"]["status"] == resources.item("shop.example")["status"] == "inactive"
    assert "claimed_by" not in resources.item("shop.example")


def test_a_row_of_others_is_taken_as_it_is(operations: Operations, resources: Resources) -> None:
    """Without our own attributes, with some of theirs, which stay; an unreadable one is named, and left alone."""
    zone = resources.route53.create_hosted_zone(Name="shop.example", CallerReference="imported")["HostedZone"]["Id"]
    rows = resources.dynamodb.Table(TABLE)
    rows.put_item(Item={"domain": "shop.example", "status": "active", "hosted_zone_id": zone, "plan": "gold"})
    operations.apply(ON, owner="m-1")
    item = resources.item("shop.example")
    assert (item["plan"], item["hosted_zone_id"]) == ("gold", zone.removeprefix("/hostedzone/"))
    assert resources.zones() == [("shop.example", "imported")]
    rows.put_item(Item={"domain": "bad.example", "updated_at": "some day"})
    with pytest.raises(BrokenRow, match=r"bad\.example in table domains cannot be read"):
        operations.apply(replace(ON, domain="bad.example"), owner="m-2")
