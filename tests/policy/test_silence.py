"""When a silent queue is looked at, and what is made of it."""

from worker.policy.failures import FailureKind
from worker.policy.silence import FIRST, IN_FLIGHT, MOST, Silence


def test_looks_at_an_idle_queue_are_few() -> None:
    """Each twice as long after the one before; at last one an hour: those of a day cost what five idle minutes do."""
    silence = Silence()
    silence.came(0, now=0.0)
    looks = []
    while silence.due < 86_400:
        looks.append(silence.due)
        assert silence.looked(waiting=0, in_flight=0, now=silence.due) is None
    assert looks[:3] == [FIRST, 3 * FIRST, 7 * FIRST]
    assert looks[-1] - looks[-2] == MOST
    assert len(looks) <= 30


def test_a_message_ends_the_silence() -> None:
    """While they come nobody looks; the next silence counts from its own beginning."""
    silence = Silence()
    silence.came(0, now=0.0)
    silence.came(1, now=FIRST - 1)
    assert silence.due == float("inf")
    silence.came(0, now=500.0)
    silence.came(0, now=510.0)
    assert silence.due == 500.0 + FIRST


def test_a_queue_at_its_limit_is_a_failure_of_capacity() -> None:
    """With both numbers in the text; looked at every two minutes while it lasts."""
    silence = Silence()
    silence.came(0, now=0.0)
    failure = silence.looked(waiting=5000, in_flight=IN_FLIGHT - 100, now=FIRST)
    assert failure is not None
    assert failure.kind is FailureKind.CAPACITY
    assert "119,900 messages are in flight and 5,000 wait" in failure.text
    assert silence.full
    assert silence.due == 2 * FIRST


def test_what_is_no_such_limit_is_nothing() -> None:
    """Nothing waits: all is well. Few are in flight: groups of a FIFO queue that are busy hold the others back."""
    silence = Silence()
    assert silence.looked(waiting=0, in_flight=IN_FLIGHT, now=0.0) is None
    assert silence.looked(waiting=1_000_000, in_flight=IN_FLIGHT // 2, now=0.0) is None
    assert not silence.full


def test_who_may_not_look_hardly_tries() -> None:
    """Many policies do not allow sqs:GetQueueAttributes."""
    silence = Silence()
    silence.unknown(now=100.0)
    assert silence.due == 100.0 + MOST
