"""How many messages a handler may hold, alone or with many places, and how many wait for handlers."""

from __future__ import annotations

import pytest

from tests.policy import build
from worker.policy import outcomes
from worker.policy.credit import BYTES, LINE_AHEAD, MOST, credit, line_target, share, unread_bytes, worth_sending
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


def test_work_of_handlers_that_need_time_is_divided_evenly() -> None:
    """Nobody waits behind a message of half a millisecond while another handler is free."""
    assert share(10, links=2, service=0.0005) == 5
    assert share(11, links=2, service=0.01) == 6
    assert share(1, links=3, service=1.0) == 1
    assert share(10, links=2, service=None) == 5


def test_a_receive_of_messages_that_take_no_time_is_one_frame() -> None:
    """Two frames to two handlers would cost more than the messages."""
    assert share(10, links=2, service=0.00001) == 10
    assert share(1000, links=2, service=0.00001) == 500
    assert share(30, links=10, service=0.0001) == 5


def test_the_line_holds_a_quarter_of_a_second_of_work() -> None:
    """At least one message for each place, ten before anything is known, and no more than is allowed."""
    assert line_target([0.001, 0.001], concurrency=1, most=1000) == round(2000 * LINE_AHEAD)
    assert line_target([10.0, 10.0], concurrency=4, most=1000) == 8
    assert line_target([None, 0.001], concurrency=1, most=1000) == 10
    assert line_target([0.0], concurrency=1, most=1000) == 1000
