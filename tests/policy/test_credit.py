"""How many messages handlers are given, and how many wait for them."""

from __future__ import annotations

import pytest

from worker.policy.credit import LINE_AHEAD, MOST, credit, line_target, share, worth_sending


@pytest.mark.parametrize(
    ("service", "concurrency", "most"),
    [(None, 1, 1), (0.0, 1, MOST + 1), (1.0, 1, 1), (0.001, 1, 10), (0.00001, 1, MOST), (1.0, 8, 8)],
)
def test_credit_is_ten_milliseconds_of_work(service: float | None, concurrency: int, most: int) -> None:
    """One message before anything is known of a handler, and for slow ones; never more than the ring can tell of."""
    assert credit(service, concurrency=concurrency) == most


def test_fast_handlers_are_filled_from_half() -> None:
    """So that frames carry several messages; a slow one gets its next at once."""
    assert worth_sending(5, 10)
    assert not worth_sending(6, 10)
    assert worth_sending(1, 2)
    assert not worth_sending(2, 2)


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
