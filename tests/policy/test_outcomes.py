"""What follows from what handlers say, and from their death."""

import pytest

from tests.policy import build
from worker.message import Kind
from worker.policy import outcomes
from worker.policy.delivery import Action, Delivery, Received, Settlement, State


def test_an_ack_is_deleted_and_only_then_leaves() -> None:
    """The record stays until the delete is confirmed."""
    books = build.ledger()
    build.receive(books, build.message("a"))
    (a,) = build.dispatch(books)
    outcomes.acked(books, [a.seq], now=1.0)
    assert a.seq in books.deliveries
    assert build.settle_all(books, now=1.0) == [("delete", "a")]
    assert not books.deliveries
    assert books.counts["deleted"] == 1


def test_an_outcome_told_twice_counts_once() -> None:
    """A handler may tell again after the death of a poller."""
    books = build.ledger()
    build.receive(books, build.message("a"))
    (a,) = build.dispatch(books)
    assert outcomes.acked(books, [a.seq, a.seq], now=1.0) == [a]
    assert outcomes.acked(books, [a.seq, 999], now=1.0) == []
    build.settle_all(books, now=1.0)
    assert books.counts["deleted"] == 1


@pytest.mark.parametrize(("after", "expected"), [(None, 5.0), (0.0, 0.0), (77.0, 77.0)])
def test_a_retry_hides_the_message(after: float | None, expected: float) -> None:
    """By the handler's seconds, or by full jitter below the backoff."""
    books = build.ledger()
    build.receive(books, build.message("a"))
    (a,) = build.dispatch(books)
    outcomes.retried(books, a.seq, after, why="", now=1.0, chance=0.5)
    assert a.settlement == Settlement(Action.HIDE, Kind.RETRY, seconds=expected)
    build.settle_all(books, now=1.0)
    assert books.counts["released"] == books.counts["retried"] == 1


def test_a_fifo_retry_keeps_head_and_tail_leased() -> None:
    """The head waits in the pool and runs again before its tail; nothing is released, no receive count burns."""
    books = build.ledger(fifo=True)
    build.receive(books, build.message("a1", group="a"), build.message("a2", group="a"), build.message("b1", group="b"))
    assert build.names(build.dispatch(books)) == ["a1", "b1"]
    outcomes.retried(books, 1, None, why="", now=0.0, chance=0.5)
    books.tick(4.9)
    assert build.dispatch(books, now=4.9) == []
    books.tick(5.0)
    assert build.names(build.dispatch(books, now=5.0)) == ["a1"]
    outcomes.acked(books, [1], now=6.0)
    assert build.dispatch(books, now=6.0) == [], "the next starts only when the settlement before it is confirmed"
    build.settle_all(books, now=6.0)
    assert build.names(build.dispatch(books, now=6.0)) == ["a2"]


def test_a_fifo_head_is_rejected_at_the_attempts_limit() -> None:
    """Sent to the dead-letter queue with its group, confirmed, then deleted; then its tail goes on."""
    books = build.ledger(fifo=True, attempts=2)
    build.receive(books, build.message("a1", group="a"), build.message("a2", group="a"))
    for _ in (1, 2):
        assert build.names(build.dispatch(books, now=1.0)) == ["a1"]
        outcomes.retried(books, 1, 0.0, why="boom", now=1.0, chance=0.5)
        books.tick(1.0)
    assert books.deliveries[1].settlement is not None
    assert books.deliveries[1].settlement.group_id == "a"
    assert books.deliveries[1].settlement.deduplication_id == "a1"
    assert build.settle_all(books, now=3.0) == [("send", "a1"), ("delete", "a1")]
    assert books.counts["dead_lettered"] == 1
    assert build.names(build.dispatch(books, now=3.0)) == ["a2"]


def test_a_reject_is_sent_before_it_is_deleted() -> None:
    """The dead-letter queue has it, confirmed, before the source loses it; then the handler may forget it."""
    books = build.ledger()
    build.receive(books, build.message("a", body=b"the body"))
    (a,) = build.dispatch(books)
    outcomes.rejected(books, a.seq, "bad", body=b"the body", attributes={}, now=1.0)
    assert a.settlement is not None
    assert (a.settlement.queue, a.settlement.body) == ("https://sqs/dlq", b"the body")
    assert build.settle_all(books, now=1.0) == [("send", "a"), ("delete", "a")]
    assert books.counts["dead_lettered"] == 1
    assert books.news == [("confirm", a)]


def test_a_reject_without_a_dead_letter_queue_never_deletes() -> None:
    """It is hidden for the longest backoff, and the log is told."""
    books = build.ledger(dead_letter="")
    build.receive(books, build.message("a"))
    (a,) = build.dispatch(books)
    outcomes.rejected(books, a.seq, "bad", body=b"", attributes={}, now=1.0)
    assert a.settlement is not None
    assert a.settlement.seconds == 100.0
    assert [event.name for event in books.events] == ["no_dead_letter_queue"]
    assert build.settle_all(books, now=1.0) == [("hide", "a")]
    assert books.counts["deleted"] == books.counts["dead_lettered"] == 0


def test_a_refused_dead_letter_send_never_deletes() -> None:
    """SQS will never take it: hidden for the longest backoff."""
    books = build.ledger()
    build.receive(books, build.message("a"))
    (a,) = build.dispatch(books)
    outcomes.rejected(books, a.seq, "bad", body=b"", attributes={}, now=1.0)
    books.sends.popleft().queued = False
    books.unsettled(a, final=True, why="InvalidMessageContents", now=1.0, chance=0.5)
    assert build.settle_all(books, now=1.0) == [("hide", "a")]
    assert books.counts["deleted"] == books.counts["dead_lettered"] == 0


def test_a_forward_deletes_its_source_after_the_send() -> None:
    """The forward is confirmed first."""
    books = build.ledger()
    build.receive(books, build.message("a"))
    (a,) = build.dispatch(books)
    outcomes.forwarded(books, a.seq, Settlement(Action.SEND, Kind.FORWARD, queue="q", body=b"x"), now=1.0)
    assert build.settle_all(books, now=1.0) == [("send", "a"), ("delete", "a")]
    assert books.counts["deleted"] == 1
    assert books.news == [("confirm", a)]


def test_returned_messages_are_uncharged_and_keep_their_order() -> None:
    """They go first in line again."""
    books = build.ledger()
    build.receive(books, *[build.message(name) for name in "abcd"])
    taken = build.dispatch(books, most=3)
    outcomes.returned(books, [one.seq for one in taken[1:]])
    assert build.names(build.dispatch(books, 2)) == ["b", "c", "d"]
    assert taken[1].attempts == 1


class TestDeathOfAHandler:
    """Rule 7: who is charged for it."""

    def test_unstarted_neighbours_go_to_another_at_once(self) -> None:
        """Uncharged, in their order."""
        books = build.ledger()
        build.receive(books, *[build.message(name) for name in "abc"])
        a, b, c = build.dispatch(books)
        outcomes.died(books, 1, {a.seq}, death=outcomes.Death(why="signal 9"), now=1.0, chance=0.5)
        assert build.names(build.dispatch(books, 2, now=1.0)) == ["b", "c"]
        assert (a.crashes, b.crashes, c.crashes) == (1, 0, 0)
        assert b.attempts == 1

    def test_the_third_death_alone_quarantines(self) -> None:
        """To the dead-letter queue, confirmed, then deleted; till then it stays leased in the pool."""
        books = build.ledger()
        (a,) = build.receive(books, build.message("a"))
        now = 0.0
        build.dispatch(books)
        for _ in range(3):
            a.lease_end = now + 1000
            outcomes.died(
                books,
                1,
                {a.seq},
                death=outcomes.Death(why="signal 11"),
                now=now,
                chance=0.5,
            )
            now += 50
            books.tick(now)
            assert build.dispatch(books, now=now) == [], "a suspect is never given out among others"
            outcomes.take_suspect(books, 1, now=now)
        assert build.settle_all(books, now=now) == [("send", "a"), ("delete", "a")]
        assert books.counts["dead_lettered"] == 1

    def test_a_suspect_whose_lease_nobody_extends_starts_only_with_half_of_it(self) -> None:
        """IAM denies the change of visibility: it would be cut off in the middle, so it is left to come again."""
        for now, starts in ((1.0, True), (build.VISIBILITY * 0.6, False)):
            books = build.ledger()
            (a,) = build.receive(books, build.message("a"))
            build.dispatch(books)
            books.hiding_denied = True
            outcomes.died(books, 1, {a.seq}, death=outcomes.Death(why="signal 9"), now=0.0, chance=0.0)
            books.tick(now)
            assert bool(outcomes.take_suspect(books, 1, now=now)) is starts
            assert (a.state is State.SETTLING) is not starts

    def test_several_running_are_suspects_and_none_is_charged(self) -> None:
        """Each runs alone next; only a death alone counts."""
        books = build.ledger()
        build.receive(books, build.message("a"), build.message("b"))
        a, b = build.dispatch(books)
        outcomes.died(books, 1, {a.seq, b.seq}, death=outcomes.Death(why=""), now=1.0, chance=0.5)
        books.tick(1.0)
        assert (a.crashes, b.crashes) == (0, 0)
        one, other = outcomes.take_suspect(books, 2, now=1.0), outcomes.take_suspect(books, 3, now=1.0)
        assert sorted(build.names([*one, *other])) == ["a", "b"]

    def test_who_ran_beside_a_hung_message_pays_nothing(self) -> None:
        """No suspect, no attempt, no backoff: first in line again. The hung one is a retry."""
        books = build.ledger()
        build.receive(books, *[build.message(name) for name in "abc"])
        a, b, c = build.dispatch(books)
        death = outcomes.Death(overdue=True, why="handler_timeout")
        running = {a.seq, b.seq, c.seq}
        outcomes.died(books, 1, running, death=death, now=1.0, chance=0.5, in_time={b.seq, c.seq})
        assert (a.state, a.attempts) == (State.SETTLING, 1)
        assert [(one.state, one.attempts, one.suspect) for one in (b, c)] == [(State.READY, 0, False)] * 2
        assert build.names(build.dispatch(books, 2, now=1.0)) == ["b", "c"]

    def test_time_left_excuses_nobody_from_a_crash(self) -> None:
        """Any of them may have done it."""
        books = build.ledger()
        build.receive(books, build.message("a"), build.message("b"))
        a, b = build.dispatch(books)
        running = {a.seq, b.seq}
        outcomes.died(books, 1, running, death=outcomes.Death(why="signal 11"), now=1.0, chance=0.5, in_time=running)
        assert a.suspect and b.suspect  # noqa: PT018 - one fact

    def test_a_death_that_we_caused_charges_nobody(self) -> None:
        """Recycling, drain and hurry."""
        books = build.ledger()
        build.receive(books, build.message("a"))
        (a,) = build.dispatch(books)
        outcomes.died(books, 1, {a.seq}, death=outcomes.Death(caused=True), now=1.0, chance=0.5)
        assert (a.crashes, a.attempts, a.state) == (0, 0, State.READY)

    def test_an_overdue_message_goes_the_retry_way(self) -> None:
        """The visibility changes only now, after the reap."""
        books = build.ledger()
        build.receive(books, build.message("a"))
        (a,) = build.dispatch(books)
        assert not books.hides
        outcomes.died(
            books,
            1,
            {a.seq},
            death=outcomes.Death(overdue=True, why="handler_timeout"),
            now=1.0,
            chance=0.5,
        )
        assert build.settle_all(books, now=1.0) == [("hide", "a")]
        assert a.crashes == 0

    def test_while_draining_everything_is_released(self) -> None:
        """Nothing of ours stays in flight."""
        books = build.ledger()
        build.receive(books, build.message("a"), build.message("b"))
        a, _ = build.dispatch(books)
        books.drain()
        outcomes.died(books, 1, {a.seq}, death=outcomes.Death(caused=True), now=1.0, chance=0.5)
        assert sorted(build.settle_all(books, now=1.0)) == [("hide", "a"), ("hide", "b")]
        assert not books.deliveries


class TestLostLeases:
    """An outcome that comes too late."""

    def test_standard_is_done_and_deleted_on_redelivery(self) -> None:
        """The late ack is counted and remembered; the redelivery is deleted with its new receipt, not run."""
        books = build.ledger()
        build.receive(books, build.message("a"))
        (a,) = build.dispatch(books)
        outcomes.acked(books, [a.seq], now=build.VISIBILITY + 1)
        assert books.counts["late"] == books.counts["lost"] == 1
        assert build.settle_all(books, now=build.VISIBILITY + 1) == [("delete", "a")]
        build.receive(books, build.message("a", count=2), now=50.0)
        assert build.dispatch(books, now=50.0) == []
        assert build.settle_all(books, now=50.0) == [("delete", "a")]
        assert books.counts["repeated"] == 1
        assert build.balance(books) == (2, 2)

    def test_fifo_never_counts_it_as_done(self) -> None:
        """Its group is released, and the redelivery runs."""
        books = build.ledger(fifo=True)
        build.receive(books, build.message("a1", group="a"), build.message("a2", group="a"))
        (a1,) = build.dispatch(books)
        outcomes.acked(books, [a1.seq], now=build.VISIBILITY + 1)
        assert build.settle_all(books, now=31.0) == [("hide", "a2")]
        build.receive(books, build.message("a1", group="a", count=2), now=50.0)
        assert build.names(build.dispatch(books, now=50.0)) == ["a1"]

    def test_nothing_starts_on_a_lost_lease(self) -> None:
        """It is dropped from the line."""
        books = build.ledger()
        build.receive(books, build.message("a"))
        build.receive(books, build.message("b"), now=20.0)
        assert build.names(build.dispatch(books, now=build.VISIBILITY)) == ["b"]
        assert books.counts["lost"] == 1


class TestCrashDetails:
    """What the dead-letter queue learns of a quarantined message."""

    @staticmethod
    def quarantined(message: Received, details: str) -> Delivery:
        books = build.ledger()
        (a,) = build.receive(books, message)
        for _ in range(3):
            if not build.dispatch(books):
                outcomes.take_suspect(books, 1, now=0.0)
            death = outcomes.Death(why="signal 11", details=details)
            outcomes.died(books, 1, {a.seq}, death=death, now=0.0, chance=0.0)
            books.tick(0.0)
        return a

    def test_one_attribute_tells_signal_memory_and_stack(self) -> None:
        """Beside the message's own."""
        own = {"kind": {"DataType": "String", "StringValue": "order"}}
        message = Received("a", "r", b"{}", {}, own)
        a = self.quarantined(message, '{"signal":11}')
        assert a.settlement is not None
        assert a.settlement.attributes == own | {"worker.crash": {"DataType": "String", "StringValue": '{"signal":11}'}}

    def test_it_is_trimmed(self) -> None:
        """And holds no character that SQS refuses."""
        a = self.quarantined(Received("a", "r", b"{}", {}, {}), "\x00x" * 20_000)
        assert a.settlement is not None
        assert a.settlement.attributes["worker.crash"]["StringValue"] == "x" * 8192

    @pytest.mark.parametrize(
        ("body", "number"), [(b"x" * (1024 * 1024 - 10), 0), (b"{}", 10)], ids=["no room", "ten attributes"]
    )
    def test_it_is_left_out_where_it_does_not_fit(self, body: bytes, number: int) -> None:
        """The message itself matters more."""
        own = {f"a{place}": {"DataType": "String", "StringValue": "x"} for place in range(number)}
        a = self.quarantined(Received("a", "r", body, {}, own), "details")
        assert a.settlement is not None
        assert a.settlement.attributes == own
