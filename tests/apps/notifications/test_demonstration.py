"""Test process: the demonstration of the notifications: what it sends, and what it finds wrong."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from apps.notifications.demonstration import faults, plan
from apps.notifications.rules import cut


@given(st.integers(1, 2000))
def test_it_sends_as_many_messages_as_it_is_asked_for(count: int) -> None:
    """Notifications of several messages and broken ones together, whatever the number."""
    sizes, broken = plan(count)
    assert broken + sum(-(-size // 4) for size in sizes) == count
    assert min(sizes) > 0


def test_its_notifications_are_of_both_queues_and_of_several_messages() -> None:
    """What is shown is what the application is for."""
    sizes, broken = plan(500)
    assert broken == 5
    assert {size <= 5 for size in sizes} == {True, False}
    recipients = [{"id": number} for number in range(max(sizes))]
    assert len(cut("b", content="x", channel="recording", recipients=recipients, most=4)) == 3


def test_it_finds_what_is_missing_and_what_came_twice() -> None:
    """Every count that is not as it should be is a fault with both numbers."""
    recipients = sum(plan(100)[0])
    good = {"recipients_reached": recipients, "delivered_twice": 0, "rows": recipients}
    assert faults(100, good) == []
    assert faults(100, good | {"delivered_twice": 1}) == ["delivered twice: 1 instead of 0"]
    assert faults(100, good | {"rows": 3}) == [f"rows: 3 instead of {recipients}"]
