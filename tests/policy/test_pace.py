"""Which limit is named, when, and how often the log hears of it."""

from __future__ import annotations

from worker.policy.pace import ADVICE, AGAIN, BUSY, HOLDS, Limit, Pace
from worker.telemetry import LIMITS


def seconds(pace: Pace, limit: Limit, *, start: float, count: int, cpu: float = 0.1, rate: int = 100) -> list[bool]:
    """So many seconds of one limit, each judged; whether each was worth a line."""
    told = []
    for second in range(count):
        now = start + second
        pace.bound(limit, now)
        told.append(pace.judge(now + 1.0, done=round(now + 1) * rate, cpu=(now + 1.0) * cpu))
    return told


def test_every_limit_has_its_number_in_the_slot() -> None:
    """And nothing else has one."""
    assert list(LIMITS) == [str(limit) for limit in Limit]
    assert set(ADVICE) < set(Limit)


def test_the_limit_is_what_was_said_for_most_of_a_second() -> None:
    """Not what was said last, and not what was said most often."""
    pace = Pace()
    pace.judge(0.0, done=0, cpu=0.0)
    pace.bound(Limit.HANDLERS, 0.0)
    for moment in range(10):
        pace.bound(Limit.QUEUE, 0.6 + moment * 0.03)
    pace.bound(Limit.BYTES, 0.9)
    pace.judge(1.0, done=50, cpu=0.2)
    assert (pace.limit, pace.per_second, pace.cpu) == (Limit.HANDLERS, 50.0, 0.2)


def test_a_limit_that_lasts_is_named_though_nobody_says_it_again() -> None:
    """A poller that waits for its handlers makes no steps."""
    pace = Pace()
    pace.judge(0.0, done=0, cpu=0.0)
    pace.bound(Limit.HANDLERS, 0.2)
    for second in range(1, 4):
        pace.judge(float(second), done=0, cpu=0.0)
        assert pace.limit is Limit.HANDLERS


def test_a_poller_that_uses_a_whole_core_is_the_limit_itself() -> None:
    """Whatever its receiver says: with its loop late, receives and deletes look slow."""
    pace = Pace()
    pace.judge(0.0, done=0, cpu=0.0)
    assert seconds(pace, Limit.POLLS, start=0.0, count=12, cpu=BUSY + 0.01)[-2:] == [False, False]
    assert pace.limit is Limit.CPU
    assert "pollers" in ADVICE[Limit.CPU]


def test_the_log_names_a_limit_once_it_has_held() -> None:
    """After ten seconds, once; what comes and goes is none."""
    pace = Pace()
    pace.judge(0.0, done=0, cpu=0.0)
    told = seconds(pace, Limit.HANDLERS, start=0.0, count=30)
    assert told.count(True) == 1
    assert told.index(True) == HOLDS - 1
    for start in range(30, 60, 2):
        assert not any(seconds(pace, Limit.BYTES, start=float(start), count=1))
        assert not any(seconds(pace, Limit.QUEUE, start=start + 1.0, count=1))


def test_the_log_names_the_same_limit_again_only_after_ten_minutes() -> None:
    """A load that comes every minute is one line in ten minutes."""
    pace = Pace()
    pace.judge(0.0, done=0, cpu=0.0)
    told = []
    for minute in range(int(AGAIN / 60) + 2):
        told += seconds(pace, Limit.HANDLERS, start=minute * 60.0, count=40)
        told += seconds(pace, Limit.QUEUE, start=minute * 60.0 + 40, count=20)
    assert told.count(True) == 2


def test_an_empty_queue_is_no_news() -> None:
    """There is nothing that an operator could do about it, or about an endpoint that the log has named by itself."""
    for limit in (Limit.QUEUE, Limit.NONE, Limit.ENDPOINT):
        pace = Pace()
        pace.judge(0.0, done=0, cpu=0.0)
        assert not any(seconds(pace, limit, start=0.0, count=60))
        assert pace.limit is limit


def test_a_round_trip_is_a_mean_of_the_last_calls() -> None:
    """One slow delete moves it a little, many do wholly."""
    pace = Pace()
    pace.settled(0.010)
    pace.settled(0.110)
    assert abs(pace.settle_trip - 0.020) < 1e-9
    for _ in range(100):
        pace.settled(0.110)
    assert abs(pace.settle_trip - 0.110) < 1e-4
