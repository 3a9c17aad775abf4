"""Test process: the pure rules of domain_operations, by example and by property."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.domain_operations.domains_file import BrokenFile, changed
from apps.domain_operations.rules import (
    CLAIM,
    KEYS,
    BadChange,
    Change,
    Row,
    Verdict,
    backoff,
    caller_reference,
    claimed,
    domain_name,
    finished,
    is_ours,
    read,
    released,
    settled,
    stamp,
    timestamp,
    verdict,
    write,
)

LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
DOMAINS = st.lists(LABELS, min_size=1, max_size=4).map(lambda labels: ".".join([*labels, "example"]))
MOMENTS = st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2200, 1, 1), timezones=st.just(UTC))
TEXTS = st.none() | st.text(min_size=1, max_size=256)
CHANGES = st.builds(
    Change,
    domain=DOMAINS,
    action=st.sampled_from(["activate", "deactivate"]),
    at=MOMENTS,
    tenant_id=TEXTS,
    idempotency_key=TEXTS,
)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
FLAT: dict[str, Any] = {"domain": "shop.example", "action": "activate", "timestamp": "2026-01-31T12:00:00Z"}
CHANGE = Change(domain="shop.example", action="activate", at=NOON)


def body(**fields: object) -> bytes:
    return json.dumps({name: value for name, value in (FLAT | fields).items() if value is not ...}).encode()


@given(CHANGES)
def test_what_is_written_is_read_again(change: Change) -> None:
    """The service and the handler cannot disagree about a body."""
    assert read(write(change)) == change


@given(CHANGES)
def test_version_one_says_the_same_with_its_timestamp_in_metadata(change: Change) -> None:
    """Both accepted forms lead to one change."""
    flat = json.loads(write(change))
    moved = {"version": "1.0", "metadata": {"timestamp": flat.pop("timestamp"), "source": "portal"}, **flat}
    assert read(json.dumps(moved).encode()) == change


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "no object"),
        (b'"activate"', "no object"),
        (b"\xff", "not JSON"),
        (body(domain=...), "domain is missing"),
        (body(domain=7), "domain is missing, or no text"),
        (body(domain="localhost"), "no domain name"),
        (body(action=...), "action is none of activate and deactivate"),
        (body(action="delete"), "action is none of activate and deactivate"),
        (body(action=["activate"]), "action is none of"),
        (body(timestamp=...), "timestamp is missing"),
        (body(timestamp="yesterday"), "timestamp is missing, or no time"),
        (body(timestamp=True), "timestamp is missing, or no time"),
        (body(timestamp=1_769_860_800_000), "timestamp is missing, or no time"),
        (body(version="2.0"), "version is not known"),
        (body(version=1.0), "version is not known"),
        (body(version="1.0"), "metadata is missing"),
        (body(version="1.0", metadata="x"), "metadata is missing, or no object"),
        (body(version="1.0", metadata={}), "timestamp is missing"),
        (body(tenant_id=""), "tenant_id is no text of 1 to 256"),
        (body(idempotency_key=5), "idempotency_key is no text"),
        (body(idempotency_key="k" * 257), "idempotency_key is no text"),
    ],
)
def test_what_asks_for_nothing_is_refused_with_the_reason(text: bytes, told: str) -> None:
    """Each kind of bad body, in words that name the field."""
    with pytest.raises(BadChange, match=told):
        read(text)


@given(st.binary() | st.recursive(st.none() | st.text() | st.integers() | st.floats(), st.lists).map(json.dumps))
def test_no_bytes_do_anything_else(text: bytes | str) -> None:
    """Whatever the body: a change that is well formed, or BadChange."""
    try:
        change = read(text.encode() if isinstance(text, str) else text)
    except BadChange:
        return
    assert change.action in {"activate", "deactivate"}


def test_null_is_left_out_and_further_fields_do_not_matter() -> None:
    """A producer that writes all its fields, set or not, is understood."""
    assert read(body(tenant_id=None, idempotency_key=None, version=..., colour="red")) == CHANGE


@given(DOMAINS)
def test_case_and_a_final_dot_are_one_name(name: str) -> None:
    """A zone, a row and an entry each have one spelling."""
    assert domain_name(f"{name.upper()}.") == domain_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "a..example",
        ".example",
        "-a.example",
        "a-.example",
        "a_b.example",
        "shop example.org",
        "münchen.example",
        "10.0.0.1",
        "a.example/../../x",
        "*.example",
        f"{'a' * 64}.example",
        ".".join(["abcdefgh"] * 30),
        "shop.example\n",
        "",
        None,
    ],
)
def test_what_is_no_domain_name_is_refused(name: object) -> None:
    """Nothing reaches Route 53, the key of a row or a CallerReference that is no host name."""
    with pytest.raises(BadChange):
        domain_name(name)


@pytest.mark.parametrize(
    "value", ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00", "2026-01-31T13:00:00.000+01:00", 1769860800, 1769860800.0]
)
def test_timestamps_of_every_form_are_one_moment(value: object) -> None:
    """With a zone, without (UTC), or seconds since 1970."""
    assert timestamp(value) == NOON


@given(MOMENTS, st.integers(-14, 14))
def test_a_stamp_keeps_the_moment(moment: datetime, hours: int) -> None:
    """What the row holds compares as the message did, whatever zone it was written in."""
    assert timestamp(stamp(moment.astimezone(timezone(timedelta(hours=hours))))) == moment


def test_only_what_is_older_than_the_row_is_stale() -> None:
    """The row's own message, delivered again, is not; one that is a microsecond older is."""
    row = Row(domain="shop.example", status="active", updated_at=NOON)
    older = replace(CHANGE, at=NOON - timedelta(microseconds=1))
    assert verdict(row, CHANGE, owner="m", now=0) is Verdict.GO
    assert verdict(row, older, owner="m", now=0) is Verdict.STALE
    assert verdict(Row(domain="shop.example"), older, owner="m", now=0) is Verdict.GO


def test_a_key_counts_once_whatever_else_the_message_says() -> None:
    """A later timestamp and the other action do not make a repeated key news; nor does a claim make it wait."""
    first = replace(CHANGE, idempotency_key="k")
    row = claimed(
        finished(Row(domain="shop.example"), first), replace(CHANGE, at=NOON + timedelta(1)), owner="x", now=0
    )
    again = replace(first, action="deactivate", at=NOON + timedelta(hours=1))
    assert verdict(row, again, owner="m", now=0) is Verdict.REPEATED


@given(st.lists(st.text(min_size=1, max_size=5), unique=True, max_size=3 * KEYS))
def test_the_newest_keys_are_remembered(keys: list[str]) -> None:
    """A row stays small, and knows the last hundred."""
    row = Row(domain="shop.example")
    for key in keys:
        row = finished(row, replace(CHANGE, idempotency_key=key))
    assert row.idempotency_keys == tuple(keys[-KEYS:])


def test_a_claim_keeps_others_out_until_it_ends_and_never_its_own_message() -> None:
    """The same message's next attempt goes on at once: its predecessor is dead."""
    row = claimed(Row(domain="shop.example"), CHANGE, owner="a", now=1000.0)
    assert verdict(row, CHANGE, owner="a", now=1000.0) is Verdict.GO
    assert verdict(row, CHANGE, owner="b", now=1000.0 + CLAIM - 1) is Verdict.BUSY
    assert verdict(row, CHANGE, owner="b", now=1000.0 + CLAIM) is Verdict.GO
    assert verdict(released(row), CHANGE, owner="b", now=1000.0) is Verdict.GO


@given(st.lists(st.tuples(st.sampled_from(["activate", "deactivate"]), st.integers(0, 3)), max_size=20))
def test_the_generation_rises_once_for_each_activation_that_begins(story: list[tuple[str, int]]) -> None:
    """Attempts that fail and go on (the number) use no generation; an activation of what is active is none."""
    row, active, activations = Row(domain="shop.example"), False, 0
    for number, (action, failures) in enumerate(story):
        change = replace(CHANGE, action=action, at=NOON + timedelta(seconds=number))
        activations += action == "activate" and not active
        for _ in range(failures):
            row = released(claimed(row, change, owner=str(number), now=0))
            assert not settled(row)
        row = finished(claimed(row, change, owner=str(number), now=0), change)
        active = action == "activate"
        assert (row.generation, row.status) == (activations, "active" if active else "inactive")
        assert settled(row)


def test_a_change_without_tenant_keeps_the_rows() -> None:
    """Whoever deactivates need not know whose domain it is."""
    row = finished(Row(domain="shop.example"), replace(CHANGE, tenant_id="t-1"))
    assert finished(row, replace(CHANGE, action="deactivate")).tenant_id == "t-1"
    assert finished(row, replace(CHANGE, tenant_id="t-2")).tenant_id == "t-2"


def test_only_zones_of_this_rows_activations_are_ours() -> None:
    """A zone that somebody made by hand, one of another domain, and one of a generation to come are not."""
    row = Row(domain="shop.example", generation=12)
    assert all(is_ours(caller_reference("shop.example", generation), row) for generation in (1, 9, 12))
    others = ["", "shop.example", "shop.example/0", "shop.example/13", "shop.example/01", "shop.example/x", "by hand/1"]
    assert not any(is_ours(reference, row) for reference in [*others, "my-shop.example/1", "shop.example/1/1"])


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_a_pause_stays_within_its_limits(times: int, chance: float) -> None:
    """However often something was refused."""
    assert 0 <= backoff(times, first=0.1, most=3.0, chance=chance) <= 3.0
    assert backoff(1, first=0.1, most=3.0, chance=1.0) == pytest.approx(0.1)


ENTRIES = st.dictionaries(DOMAINS, st.fixed_dictionaries({"status": st.sampled_from(["active", "inactive"])}))


@given(ENTRIES, DOMAINS, st.sampled_from(["active", "inactive"]), TEXTS)
def test_an_entry_changes_and_nothing_else_does(
    entries: dict[str, Any], name: str, status: str, zone: str | None
) -> None:
    """All other domains, and what else the file holds, stay as they are; the second time there is nothing to do."""
    row = Row(domain=name, status=status, tenant_id="t-1", hosted_zone_id=zone)
    new = changed({"domains": entries, "comment": "kept"}, row)
    assert new is not None
    assert new["domains"] == entries | {name: {"status": status, "tenant_id": "t-1", "hosted_zone_id": zone}}
    assert new["comment"] == "kept"
    assert changed(new, row) is None


@pytest.mark.parametrize("document", [[], None, "x", {"domains": []}, {"domains": None}])
def test_a_file_of_another_form_is_left_alone(document: Any) -> None:
    """What we do not understand is not overwritten."""
    with pytest.raises(BrokenFile):
        changed(document, Row(domain="shop.example", status="active"))
