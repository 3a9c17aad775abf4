"""Which leases are extended when."""

from tests.policy import build
from worker.message import LONGEST_LEASE
from worker.policy import beats, outcomes


def test_the_first_beat_is_due_a_third_after_arrival() -> None:
    """And then every third."""
    books = build.ledger()
    build.receive(books, build.message("a"))
    assert beats.due(books, 9.9, most=10) == []
    ((a, seconds),) = beats.due(books, 10.0, most=10)
    assert seconds == build.VISIBILITY
    beats.beaten(books, a, sent_at=10.0, seconds=30)
    assert a.lease_end == 40.0
    assert beats.next_due(books) == 20.0


def test_everything_held_beats_whatever_its_state() -> None:
    """Ready, running, settling, parked: all are ours."""
    books = build.ledger()
    build.receive(books, *[build.message(name) for name in "abc"])
    (a,) = build.dispatch(books, most=1)
    build.receive(books, build.message("a", count=2))
    outcomes.acked(books, [a.seq], now=1.0)
    assert sorted(build.names([one for one, _ in beats.due(books, 10.0, most=10)])) == ["a", "a", "b", "c"]


def test_a_receipt_is_never_in_two_calls() -> None:
    """A settlement waits for the beat on its way."""
    books = build.ledger()
    build.receive(books, build.message("a"))
    (a,) = build.dispatch(books)
    ((_, _),) = beats.due(books, 10.0, most=10)
    outcomes.acked(books, [a.seq], now=10.1)
    assert not books.deletes
    beats.beaten(books, a, sent_at=10.0, seconds=30)
    assert build.settle_all(books, now=10.2) == [("delete", "a")]


def test_a_failed_beat_is_tried_again_soon() -> None:
    """Within a twelfth of the visibility timeout, a second at most."""
    books = build.ledger()
    (a,) = build.receive(books, build.message("a"))
    beats.due(books, 10.0, most=10)
    beats.unbeaten(books, a, final=False, now=10.1)
    assert beats.next_due(books) <= 11.1
    assert [one for one, _ in beats.due(books, 11.1, most=10)] == [a]


def test_a_refused_beat_ends_the_lease() -> None:
    """MessageNotInflight: a running message's handler is told, and its record waits for it."""
    books = build.ledger()
    build.receive(books, build.message("a"), build.message("b"))
    (a,) = build.dispatch(books, most=1)
    for delivery, _ in beats.due(books, 10.0, most=10):
        beats.unbeaten(books, delivery, final=True, now=10.1)
    assert books.news == [("lost", a)]
    assert list(books.deliveries.values()) == [a]
    assert books.counts["lost"] == 2
    assert beats.due(books, 20.0, most=10) == []
    assert build.balance(books) == (2, 2)


def test_a_poller_that_slept_past_the_lease_does_not_beat_it() -> None:
    """SIGSTOP, or a suspended machine: the lease clock says lost."""
    books = build.ledger()
    build.receive(books, build.message("a"))
    assert beats.due(books, 31.0, most=10) == []
    assert books.counts["lost"] == 1
    assert not books.deliveries


def test_no_beat_asks_beyond_twelve_hours() -> None:
    """SQS answers that with an error, not with less."""
    books = build.ledger()
    (a,) = build.receive(books, build.message("a"))
    now = LONGEST_LEASE - 12.0
    a.lease_end = now + 5
    ((_, seconds),) = beats.due(books, now, most=10)
    assert seconds == 12.0
    beats.beaten(books, a, sent_at=now, seconds=12)
    a.beat_due = now
    assert beats.due(books, LONGEST_LEASE - 0.5, most=10) == []
