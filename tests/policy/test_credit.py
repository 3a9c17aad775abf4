"""How many messages a handler may hold, alone or with many places."""

from __future__ import annotations

import pytest

from tests.policy import build
from worker.policy import outcomes
from worker.policy.credit import BYTES, MOST, credit, unread_bytes, worth_sending
from worker.settings import MOST_RUNNING
from worker.slots import RING, ring_length


@pytest.mark.parametrize(
    ("service", "concurrency", "expected"),
    [
        (None, 1, 1),
        (None, 1000, 1000),
        (1.0, 1, 1),
        (0.005, 1, 2),
        (0.001, 1, 10),
        (0.0, 1, 1 + MOST),
        (1.0, 20, 21),
        (0.05, 100, 120),
        (0.05, 1000, 1200),
        (0.001, 1000, 1000 + MOST),
    ],
)
def test_credit_is_all_places_and_10_ms_ahead(service: float | None, concurrency: int, expected: int) -> None:
    """One at a time: nothing stands behind a message that takes 10 ms. Many at once: none of the places is idle."""
    assert credit(service, concurrency=concurrency) == expected


@pytest.mark.parametrize("concurrency", [1, 8, 512, 1000, MOST_RUNNING])
def test_the_ring_holds_more_than_a_handler_can_finish_unseen(concurrency: int) -> None:
    """Whatever it holds may be done when a successor looks; the oldest entry is overwritten next."""
    assert ring_length(concurrency) > credit(0.0, concurrency=concurrency)
    assert ring_length(1) == RING


@pytest.mark.parametrize(
    ("held", "most", "concurrency", "worth"),
    [
        (0, 1, 1, True),
        (1, 1, 1, False),
        (5, 10, 1, True),
        (6, 10, 1, False),
        (20, 21, 20, True),
        (21, 21, 20, False),
        (1099, 1200, 1000, True),
        (1100, 1200, 1000, False),
    ],
)
def test_a_frame_is_worth_it_before_a_place_gets_idle(held: int, most: int, concurrency: int, worth: bool) -> None:
    """What is ahead is filled up from its half, whatever the number of places."""
    assert worth_sending(held, most, concurrency=concurrency) is worth


@pytest.mark.parametrize(
    ("held", "concurrency", "unread"), [(1, 1, 1000), (1000, 1000, 1), (999, 1000, 0), (1200, 1000, 167)]
)
def test_only_what_waits_is_unread(held: int, concurrency: int, unread: int) -> None:
    """Bodies of what runs are read; of 1,000 bytes in all, the mean counts."""
    assert unread_bytes(1000, held=held, concurrency=concurrency) == unread


def test_each_free_place_gets_a_message_of_any_size() -> None:
    """Beyond them 128 KiB, or nothing."""
    big = b"x" * BYTES
    books = build.ledger()
    build.receive(books, *(build.message(name, body=big) for name in "abcdef"))
    assert build.names(outcomes.take(books, 1, most=10, most_bytes=BYTES, places=3, now=0.0)) == ["a", "b", "c"]
    assert build.names(outcomes.take(books, 2, most=10, most_bytes=BYTES, now=0.0)) == ["d"]


def test_small_ones_come_beyond_the_places() -> None:
    """The last place and all that is ahead share the bytes."""
    books = build.ledger()
    build.receive(books, *(build.message(name, body=b"x" * 100) for name in "abcdef"))
    assert build.names(outcomes.take(books, 1, most=10, most_bytes=250, places=3, now=0.0)) == ["a", "b", "c", "d"]
