"""The endpoint fails one queue in every way, and the pool of real processes goes on: states, lines, recovery."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.system.pool import Pool, eventually

#: Every class of failure, by the fault that makes it, each of ReceiveMessage.
FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("throttled", {"effect": "throttle"}),
    ("throttled", {"effect": "error", "shape": "KmsThrottled", "status": 400}),
    ("transient", {"effect": "unavailable"}),
    ("transient", {"effect": "html"}),
    ("transient", {"effect": "drop", "when": "before"}),
    ("transient", {"effect": "drop", "when": "after", "how": "close"}),
    ("transient", {"effect": "black_hole", "when": "before"}),
    ("transient", {"effect": "trickle", "bytes_per_second": 1}),
    ("credentials", {"effect": "error", "shape": "ExpiredToken", "status": 403}),
    ("clock", {"effect": "error", "shape": "InvalidSignatureException", "status": 403, "message": "Signature expired"}),
    ("denied", {"effect": "error", "shape": "AccessDenied", "status": 403}),
    ("kms", {"effect": "error", "shape": "KmsDisabled", "status": 400}),
    ("queue_gone", {"effect": "error", "shape": "QueueDoesNotExist", "status": 400}),
    ("capacity", {"effect": "error", "shape": "OverLimit", "status": 403}),
]


def add_queue(pool: Pool) -> str:
    """A second queue `other` in the same pool; gives its URL."""
    url = str(pool.sqs.create_queue(QueueName=f"{pool.url.rsplit('/', 1)[1]}-other")["QueueUrl"])
    lines = ["[queues.other]", f'url = "{url}"', 'handler = "tests.system.effects:record"', "handlers = 1", "wait = 1"]
    pool.config.write_text(pool.config.read_text() + "\n".join(lines) + "\n")
    return url


def trouble(pool: Pool, queue: str = "work") -> str:
    """What the queue's poller says that its calls fail with."""
    pollers = pool.status().get("queues", {}).get(queue, {}).get("pollers", [])
    return str(pollers[0]["trouble"]) if pollers else "no poller"


def told(pool: Pool, event: str) -> list[dict[str, Any]]:
    return [line for line in pool.events() if line["event"] == event]


def test_every_failure_has_a_state_and_a_line_and_leaves_other_queues_alone(pools: Callable[..., Pool]) -> None:
    """One after the other, on one queue: while it lasts its class is in the status and in one line with a hint, and
    another queue's messages are handled; afterwards all that waited is handled within 30 s, by the same processes."""
    # A message whose answer was lost on its way comes again when its visibility timeout ends: a short one.
    pool = pools("record", handlers=1, wait=1, visibility_timeout=9)
    other = add_queue(pool)
    name = pool.url.rsplit("/", 1)[1]
    pool.start()
    before = sorted(process.pid for process in pool.tree())
    for number, (kind, fault) in enumerate(FAULTS):
        told_before = len(told(pool, "calls_fail"))
        pool.server.set_faults(fault | {"action": "ReceiveMessage", "queue": name})
        eventually(lambda: trouble(pool) == kind, seconds=20, why=f"{fault}: {trouble(pool)}")  # noqa: B023
        pool.sqs.send_message(QueueUrl=pool.url, MessageBody=f"work{number}")
        pool.sqs.send_message(QueueUrl=other, MessageBody=f"other{number}")
        eventually(lambda: pool.effects()[f"other{number}"] == 1, seconds=10, why=f"{fault}: other goes on")  # noqa: B023
        assert trouble(pool, "other") == ""
        pool.server.clear_faults()
        eventually(lambda: pool.effects()[f"work{number}"] == 1, seconds=30, why=f"{fault}: recovered")  # noqa: B023
        eventually(lambda: trouble(pool) == "", seconds=10, why=f"{fault}: all is well")
        (line,) = told(pool, "calls_fail")[told_before:]
        assert (line["kind"], line["action"], line["process"]) == (kind, "receive", "poller work/0"), line
        assert line["hint"]
        if kind == "clock":
            assert "this machine's clock is" in line["why"]
    assert len(told(pool, "calls_recovered")) == len(FAULTS)
    assert sorted(process.pid for process in pool.tree()) == before
    assert pool.stop() == 0
    assert all(count == 1 for count in pool.effects().values())


def test_a_queue_that_is_deleted_and_made_again_is_received_from_again(pools: Callable[..., Pool]) -> None:
    """Its state says so meanwhile; nothing exits, for the other queues have their work."""
    pool = pools("record", handlers=1, wait=1)
    other = add_queue(pool)
    pool.start()
    pool.sqs.delete_queue(QueueUrl=pool.url)
    eventually(lambda: trouble(pool) == "queue_gone", seconds=20, why=f"gone, {trouble(pool)}")
    pool.sqs.send_message(QueueUrl=other, MessageBody="other x")
    eventually(lambda: pool.effects()["other"] == 1, seconds=10, why="the other queue goes on")
    name = pool.url.rsplit("/", 1)[1]
    # SQS lets a name rest for a minute.
    eventually(lambda: _made(pool, name), seconds=90, why="it can be made again")
    pool.sqs.send_message(QueueUrl=pool.url, MessageBody="again x")
    eventually(lambda: pool.effects()["again"] == 1, seconds=30, why="received from")
    assert pool.stop() == 0


def _made(pool: Pool, name: str) -> bool:
    try:
        pool.sqs.create_queue(QueueName=name)
    except pool.sqs.exceptions.QueueDeletedRecently:
        return False
    return True


def test_an_outage_of_everything_costs_no_lease_and_no_second_effect(pools: Callable[..., Pool]) -> None:
    """Half a minute in which no call of a busy queue goes through: what runs goes on, little is asked, and at most
    30 s after it all is handled and deleted, each message once."""
    pool = pools("short", handlers=2, wait=1)
    name = pool.url.rsplit("/", 1)[1]
    pool.send([f"{number} x" for number in range(2000)])
    pool.start()
    eventually(lambda: len(pool.effects()) > 100, seconds=20, why="at work")
    pool.server.set_faults({"effect": "unavailable", "queue": name})
    eventually(lambda: trouble(pool) == "transient", seconds=10, why="it fails")
    calls = pool.queue()["counters"]["calls"]
    time.sleep(30)  # the outage
    assert pool.queue()["counters"]["calls"] - calls <= 90
    pool.server.clear_faults()
    eventually(lambda: len(pool.effects()) == 2000, seconds=30, why=f"all effects, {len(pool.effects())}")
    pool.wait_empty(seconds=10)
    assert set(pool.effects("start").values()) == {1}
    assert pool.queue()["counters"]["lost"] == 0
    assert pool.stop() == 0


def test_what_is_done_and_cannot_be_deleted_is_deleted_when_it_comes_again(pools: Callable[..., Pool]) -> None:
    """Neither deletes nor beats get through until the leases are over: the new receipts delete what the old ones could
    not, and no message runs twice."""
    pool = pools("short", handlers=2, wait=1)
    name = pool.url.rsplit("/", 1)[1]
    settling = ["DeleteMessageBatch", "ChangeMessageVisibilityBatch"]
    pool.server.set_faults({"effect": "unavailable", "queue": name, "action": settling})
    pool.send([f"{number} x" for number in range(20)])
    pool.start(unchecked={"visibility_timeout": 4.0})
    eventually(lambda: len(pool.effects()) == 20, seconds=30, why=f"all effects, {len(pool.effects())}")
    eventually(lambda: pool.queue()["counters"]["lost"] > 0, seconds=20, why="leases are lost")
    pool.server.clear_faults()
    pool.wait_empty(seconds=30)
    eventually(lambda: pool.queue()["counters"]["repeated"] > 0, seconds=10, why="the counters show it a moment later")
    assert set(pool.effects("start").values()) == {1}
    assert pool.depth(pool.dead) == (0, 0)
    assert pool.stop() == 0


def test_credentials_that_come_late_are_found(pools: Callable[..., Pool]) -> None:
    """A machine whose role is not there yet, a file that is written later: the pool says so, waits, and goes on."""
    pool = pools("record", handlers=1, wait=1)
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        pool.environment.pop(variable, None)
    file = pool.folder / "credentials"
    pool.environment |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_SHARED_CREDENTIALS_FILE": str(file)}
    pool.send(["1 x"])
    pool.start(ready=False)
    eventually(lambda: pool.status() and trouble(pool) == "credentials", seconds=30, why="it says so")
    file.write_text("[default]\naws_access_key_id = test\naws_secret_access_key = test\n")
    eventually(lambda: pool.effects()["1"] == 1, seconds=40, why="it goes on")
    assert {line["kind"] for line in told(pool, "queue_not_resolved")} == {"credentials"}
    assert pool.stop() == 0


def test_a_role_that_may_not_change_the_visibility_is_a_state(pools: Callable[..., Pool]) -> None:
    """One clear line; work goes on without heartbeats; a retry comes back when its lease lapses; a handler function
    that hangs is stopped before that, and nobody runs its message meanwhile."""
    pool = pools("tests.system.hard_cases:denied", handlers=2, wait=1, visibility_timeout=9, handler_timeout=300)
    name = pool.url.rsplit("/", 1)[1]
    denied = {"effect": "error", "shape": "AccessDenied", "status": 403, "queue": name}
    pool.server.set_faults(denied | {"action": ["ChangeMessageVisibility", "ChangeMessageVisibilityBatch"]})
    pool.send(["0 hang", "1 raise", *[f"{number} ack" for number in range(2, 40)]])
    pool.start()
    done = {str(number) for number in range(40)}
    eventually(lambda: set(pool.effects()) == done, seconds=60, why=f"all, {done - pool.effects().keys()}")
    pool.wait_empty(seconds=10)
    assert set(pool.effects().values()) == {1}
    assert (pool.effects("start")["0"], pool.effects("start")["1"]) == (2, 2)
    counters = pool.queue()["counters"]
    assert (counters["late"], counters["beats"]) == (0, 0)
    (line,) = told(pool, "visibility_change_denied")
    assert "sqs:ChangeMessageVisibility" in line["why"]
    assert any(event["event"] == "message_overdue" for event in pool.events())
    (rule,) = pool.server.clear_faults()
    assert rule["used"] <= 3, "it is not asked again and again"
    assert pool.stop() == 0
