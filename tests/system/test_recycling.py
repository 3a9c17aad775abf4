"""Handlers that have served long enough make place for a spare that was ready first."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.system.pool import Pool, eventually

#: Seconds that the application takes to import: whoever waited for a boot would be seen.
BOOT = "2"


def places(pool: Pool) -> list[dict[str, Any]]:
    """The handlers that have a place and a stream, as the supervisor sees them at one instant."""
    return [handler for handler in pool.queue().get("handlers", ()) if handler["state"] in ("ready", "busy")]


@pytest.mark.parametrize(
    ("handler", "recycle", "reason"),
    [
        ("tests.system.hard_cases:leak", {"max_rss": 60_000_000}, "MiB"),
        ("tests.system.hard_cases:keep", {"max_age": 4}, "seconds"),
        ("tests.system.hard_cases:keep", {"max_messages": 60}, "messages"),
    ],
)
def test_no_message_waits_for_a_boot(
    pools: Callable[..., Pool], handler: str, recycle: dict[str, Any], reason: str
) -> None:
    """By memory, age or messages, with an application that takes 2 s to import: at every instant each place is served
    by a handler that is ready; they go one at a time; nothing is repeated, nothing cut off."""
    pool = pools(handler, handlers=2, wait=1, recycle=recycle)
    pool.environment["BOOT_SECONDS"] = BOOT
    pool.start()
    pool.send([f"{number} x" for number in range(600)])
    recycled: list[dict[str, Any]] = []
    least = 2
    deadline = time.monotonic() + 90
    while len(recycled) < 3 and time.monotonic() < deadline:
        least = min(least, len(places(pool)))
        recycled = [event for event in pool.events() if event["event"] == "handler_recycled"]
        time.sleep(0.05)  # between two looks
    assert len(recycled) >= 3
    assert all(reason in event["reason"] for event in recycled)
    assert least == 2, "a place was empty"
    eventually(lambda: len(pool.effects()) == 600, seconds=60, why=f"all effects, {len(pool.effects())}")
    assert set(pool.effects().values()) == {1}
    assert not [event for event in pool.events() if event["level"] in ("warning", "error")]
    assert pool.stop() == 0
