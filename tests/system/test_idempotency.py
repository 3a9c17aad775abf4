"""A real pool under SIGKILL, and a table that counts effects: once each, where effect and mark are one transaction."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import boto3
import pytest

from tests.system.pool import Pool, eventually
from worker.testing.child_server import ChildServer

#: A key whose owner was killed is waited for, so on a busy machine these take longer than the rest.
pytestmark = pytest.mark.timeout(300)

#: As in idempotent_application.py, which only a pool can import.
KEYS, COUNTERS = "keys", "counters"
NUMBERS = 100
#: Seconds of a storm at most.
LONGEST = 60.0


class Table:
    """The counters, as DynamoDB has them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client: Any = boto3.client(
            "dynamodb",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        for name in (KEYS, COUNTERS):
            self._client.create_table(
                TableName=name,
                AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                BillingMode="PAY_PER_REQUEST",
            )

    def effects(self) -> Counter[str]:
        """How often each number had its effect."""
        return Counter({item["id"]["S"]: int(item["effects"]["N"]) for item in self._scan(COUNTERS)})

    def states(self) -> Counter[str]:
        """How many keys are in which state."""
        return Counter(item["state"]["S"] for item in self._scan(KEYS))

    def close(self) -> None:
        self._client.close()

    def _scan(self, name: str) -> Iterator[dict[str, Any]]:
        for page in self._client.get_paginator("scan").paginate(TableName=name, ConsistentRead=True):
            yield from page["Items"]


@pytest.fixture
def table() -> Iterator[Table]:
    """In a DynamoDB of the test's own: one process, one request at a time."""
    server = ChildServer("DynamoDB", "tests.system.serial_dynamodb", arguments=())
    try:
        opened = Table(server.start())
        yield opened
        opened.close()
    finally:
        server.stop()


def started(pools: Callable[..., Pool], table: Table, handler: str, **keys: Any) -> Pool:
    """A pool whose application finds the table."""
    pool = pools(f"tests.system.idempotent_application:{handler}", receives=1000, visibility_timeout=30, **keys)
    pool.environment["AWS_ENDPOINT_URL_DYNAMODB"] = table.url
    return pool


@pytest.mark.parametrize(("handler", "repeated"), [("together", 1), ("apart", 2)])
def test_a_kill_between_effect_and_mark_repeats_the_effect_unless_they_are_one(
    pools: Callable[..., Pool], table: Table, handler: str, repeated: int
) -> None:
    """And no other effect: neither of a kill before it, nor of the second message that each number has."""
    words = {str(number): ("no", "before", "after")[number % 3 if number < 12 else 0] for number in range(24)}
    pool = started(pools, table, handler, retry={"first": 0.1, "most": 1})
    pool.send([f"{number} {word}" for number, word in words.items() for _ in range(2)])
    pool.start()
    pool.wait_empty(seconds=90)
    killed = sum(word != "no" for word in words.values())
    assert sum(event["event"] == "child_died" for event in pool.events()) >= killed
    assert table.effects() == {number: repeated if word == "after" else 1 for number, word in words.items()}
    assert table.states() == {"done": len(words)}
    assert pool.depth(pool.dead) == (0, 0)
    assert pool.stop() == 0


@pytest.mark.long
@pytest.mark.parametrize(
    ("handler", "keys"),
    [("together", {}), ("together_async", {"concurrency": 3}), ("apart", {})],
    ids=["together", "together-async", "apart"],
)
def test_a_storm_of_kills_has_no_second_effect_where_effect_and_mark_are_one(
    pools: Callable[..., Pool], table: Table, handler: str, keys: dict[str, Any]
) -> None:
    """Each number twice in the queue, handlers and pollers killed at random. Apart: one more a kill of a handler."""
    pool = started(pools, table, handler, retry={"first": 0.1, "most": 1}, handlers=3, preload=True, **keys)
    pool.send([f"{number} no" for number in range(NUMBERS) for _ in range(2)])
    pool.start()
    kills = storm(pool, done=lambda: len(table.effects()) == NUMBERS)
    eventually(lambda: len(table.effects()) == NUMBERS, seconds=60, why=f"all effects, {len(table.effects())}")
    pool.wait_empty(seconds=90)
    repeated = table.effects().total() - NUMBERS
    starts = pool.effects("start").total()
    print(f"{kills}, {starts} starts of {NUMBERS} numbers, {repeated} effects repeated")
    assert kills["handlers"] > 10, "it was a storm"
    assert kills["pollers"] > 0, "it was one over all"
    assert starts > NUMBERS + 3, "it interrupted functions"
    assert repeated == 0 if handler.startswith("together") else repeated <= kills["handlers"]
    assert table.states() == {"done": NUMBERS}
    assert pool.stop() == 0


def test_a_hung_function_is_stopped_before_its_key_is_anybody_elses(pools: Callable[..., Pool], table: Table) -> None:
    """At the end of `lease`, long before `handler_timeout`: killed, its key busy till the lease is over, then run."""
    pool = started(pools, table, "hanging", retry={"first": 0.1, "most": 0.2}, handlers=2, handler_timeout=300)
    pool.send(["1 hang"])
    pool.start()
    pool.wait_empty(seconds=60)
    steps = [line.split() for line in pool.effects_file.read_text().splitlines()]
    assert [step[0] for step in steps] == ["start", "start"]
    assert sum(event["event"] == "message_overdue" for event in pool.events()) == 1
    assert int(steps[1][4]) - int(steps[0][4]) > 5e9, "not before the lease of the first was over"
    assert table.effects() == {"1": 1}
    assert table.states() == {"done": 1}
    assert pool.stop() == 0


def storm(pool: Pool, *, done: Callable[[], bool]) -> Counter[str]:
    """SIGKILL of pollers, and of handlers that run something, while there is work; how many of each."""
    chance, kills = random.Random(5), Counter[str]()
    end = time.monotonic() + LONGEST
    while not done() and time.monotonic() < end:
        kind = "pollers" if chance.random() < 0.15 else "handlers"
        busy = [one["pid"] for one in pool.queue().get("handlers", ()) if one["pid"] and one["state"] == "busy"]
        pids = busy if kind == "handlers" else pool.pids(kind)
        if pids:
            with suppress(ProcessLookupError):  # it has died since
                os.kill(chance.choice(pids), signal.SIGKILL)
            kills[kind] += 1
        time.sleep(chance.uniform(0.1, 0.5))  # the storm's own rhythm
    return kills
