"""When a handler process has served long enough."""

from worker.policy.recycling import SAMPLES, Wear, worn
from worker.settings import RecycleSettings


def test_no_limits_no_end() -> None:
    """All three are off by default."""
    assert worn(Wear(0.5), RecycleSettings(), done=10**9, age=1e9, resident=2**50) == ""


def test_messages_and_age_end_within_the_jitter() -> None:
    """Up to a tenth earlier, each process at its own."""
    limits = RecycleSettings(max_messages=1000, max_age=100.0)
    assert worn(Wear(0.0), limits, done=999, age=99.0, resident=0) == ""
    assert worn(Wear(0.0), limits, done=1000, age=0.0, resident=0) == "1000 messages"
    assert worn(Wear(1.0), limits, done=900, age=0.0, resident=0) == "900 messages"
    assert worn(Wear(1.0), limits, done=0, age=90.0, resident=0) == "90 seconds"


def test_memory_must_be_found_several_times_in_a_row() -> None:
    """One large message is no leak."""
    limits, wear = RecycleSettings(max_rss=100), Wear(0.0)
    looks = [worn(wear, limits, done=0, age=0.0, resident=size) for size in (200, 200, 50, 200, 200, 200)]
    assert [bool(look) for look in looks] == [False] * 5 + [True]
    assert SAMPLES == 3
