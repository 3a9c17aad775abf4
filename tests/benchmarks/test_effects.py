"""What handler functions wrote down, and what follows."""

from __future__ import annotations

from benchmarks.effects import Step, Verdict, judge, read
from benchmarks.latency import receives


def ends(*numbers: int) -> list[Step]:
    return [Step("end", number, 0, 1, "-") for number in numbers]


def test_half_a_line_is_left_out() -> None:
    """What a killed process wrote in part says nothing."""
    assert read(["start 1 100 7 m-1", "end 1 200 7 m-1", "end 2 3"]) == [
        Step("start", 1, 100, 7, "m-1"),
        Step("end", 1, 200, 7, "m-1"),
    ]


def test_all_well() -> None:
    """Every message once, none left."""
    assert judge(range(3), ends(0, 1, 2), left=0) == Verdict(sent=3, effects=3, lost=0, duplicated=0, hung=0)


def test_a_start_is_no_effect() -> None:
    """A message that was begun and never ended is lost if it is not in the queue."""
    steps = [*ends(0), Step("start", 1, 0, 1, "-")]
    assert judge(range(2), steps, left=0) == Verdict(sent=2, effects=1, lost=1, duplicated=0, hung=0)


def test_what_is_left_hangs() -> None:
    """No effect, but still in the queue: not lost."""
    assert judge(range(3), ends(0), left=2) == Verdict(sent=3, effects=1, lost=0, duplicated=0, hung=2)


def test_what_is_left_and_done_does_not_hang() -> None:
    """A message that had its effect and waits to come again is none that is missing."""
    assert judge(range(2), ends(0, 1), left=1) == Verdict(sent=2, effects=2, lost=0, duplicated=0, hung=0)


def test_each_effect_beyond_the_first_is_a_duplicate() -> None:
    """And messages that nobody sent are not counted."""
    assert judge(range(2), ends(0, 0, 0, 1, 9), left=0) == Verdict(sent=2, effects=4, lost=0, duplicated=2, hung=0)


def test_a_receive_returned_when_its_answer_went_out() -> None:
    """The first answer that brought a message counts; another request's does not."""
    events: list[dict[str, object]] = [
        {"event": "assign", "connection": 1, "request": 1, "message_id": "a", "ns": 10},
        {"event": "response", "connection": 2, "request": 1, "ns": 11},
        {"event": "response", "connection": 1, "request": 1, "ns": 12},
        {"event": "assign", "connection": 1, "request": 2, "message_id": "a", "ns": 20},
        {"event": "response", "connection": 1, "request": 2, "ns": 21},
    ]
    assert dict(receives(events)) == {"a": 12}
