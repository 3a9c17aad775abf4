"""How records leave the ledger: confirmed, refused, postponed, released, lost."""

from tests.policy import build
from worker.message import Kind
from worker.policy import arrivals, beats, outcomes
from worker.policy.delivery import Delivery, State


def test_a_failed_delete_keeps_the_lease_and_is_tried_again() -> None:
    """Failed[] with SenderFault=false."""
    books = build.ledger()
    build.receive(books, build.message("a"))
    (a,) = build.dispatch(books)
    outcomes.acked(books, [a.seq], now=1.0)
    books.deletes.popleft().queued = False
    books.unsettled(a, final=False, why="InternalError", now=1.0, chance=0.5)
    assert a.seq in books.deliveries
    due = books.tick(1.0)
    assert 1.0 < due < 2.0
    books.tick(due)
    assert build.settle_all(books, now=due) == [("delete", "a")]


def test_a_delete_that_sqs_refuses_for_good_is_remembered() -> None:
    """SenderFault=true: if it comes again it is deleted, not run."""
    books = build.ledger()
    build.receive(books, build.message("a"))
    (a,) = build.dispatch(books)
    outcomes.acked(books, [a.seq], now=1.0)
    books.deletes.popleft().queued = False
    books.unsettled(a, final=True, why="ReceiptHandleIsInvalid", now=1.0, chance=0.5)
    assert not books.deliveries
    build.receive(books, build.message("a", count=2), now=2.0)
    assert build.settle_all(books, now=2.0) == [("delete", "a")]


def test_a_refused_fifo_delete_releases_the_rest_of_the_group() -> None:
    """Else an older effect could run after a newer one."""
    books = build.ledger(fifo=True)
    build.receive(books, *[build.message(f"a{n}", group="a") for n in (1, 2, 3)])
    (a1,) = build.dispatch(books)
    outcomes.acked(books, [a1.seq], now=1.0)
    books.deletes.popleft().queued = False
    books.unsettled(a1, final=True, why="expired", now=1.0, chance=0.5)
    assert build.dispatch(books, now=1.0) == []
    assert build.settle_all(books, now=1.0) == [("hide", "a3"), ("hide", "a2")]


def test_a_lease_that_is_lost_in_the_middle_of_a_group_releases_what_stands_behind() -> None:
    """A beat is refused for one message of a waiting group: the next must not start before it comes again."""
    books = build.ledger(fifo=True)
    build.receive(books, *[build.message(f"a{n}", group="a") for n in (1, 2, 3, 4)])
    (a1,) = build.dispatch(books)
    for delivery, _ in beats.due(books, 10.0, most=10):
        if delivery.message_id == "a2":
            beats.unbeaten(books, delivery, final=True, now=10.1)
        else:
            beats.beaten(books, delivery, sent_at=10.0, seconds=30)
    assert sorted(build.settle_all(books, now=10.2)) == [("hide", "a3"), ("hide", "a4")]
    outcomes.acked(books, [a1.seq], now=11.0)
    assert build.settle_all(books, now=11.0) == [("delete", "a1")]
    assert build.dispatch(books, now=11.0) == []
    assert not books.closing


def test_a_drain_releases_a_group_tail_first() -> None:
    """All but the head, confirmed; then the head."""
    books = build.ledger(fifo=True)
    build.receive(books, *[build.message(f"a{n}", group="a") for n in (1, 2, 3)])
    books.drain()
    assert [one.message_id for one in books.hides] == ["a3", "a2"]
    assert build.settle_all(books) == [("hide", "a3"), ("hide", "a2"), ("hide", "a1")]
    assert not books.deliveries
    assert not books.closing


def test_a_drain_lets_the_running_head_finish() -> None:
    """Its tail is released meanwhile."""
    books = build.ledger(fifo=True)
    build.receive(books, *[build.message(f"a{n}", group="a") for n in (1, 2)])
    (a1,) = build.dispatch(books)
    books.drain()
    assert build.settle_all(books) == [("hide", "a2")]
    outcomes.acked(books, [a1.seq], now=1.0)
    assert build.settle_all(books, now=1.0) == [("delete", "a1")]
    assert not books.deliveries


def test_a_second_delivery_is_parked_and_never_replaces_the_first() -> None:
    """When the first is done, the second is deleted with its own receipt, not run."""
    books = build.ledger()
    (a,) = build.receive(books, build.message("a"))
    build.dispatch(books)
    (second,) = build.receive(books, build.message("a", count=2), now=1.0)
    assert second.state is State.PARKED
    assert a.receipt == "receipt-a-1"
    outcomes.acked(books, [a.seq], now=2.0)
    assert build.settle_all(books, now=2.0) == [("delete", "a"), ("delete", "a")]
    assert not books.deliveries
    assert (books.counts["parked"], books.counts["repeated"]) == (1, 1)


def test_a_parked_delivery_is_given_back_with_the_first() -> None:
    """The change of visibility hits the message, by whichever receipt: there is no second call."""
    books = build.ledger()
    (a,) = build.receive(books, build.message("a"))
    build.dispatch(books)
    build.receive(books, build.message("a", count=2), now=1.0)
    outcomes.retried(books, a.seq, 33.0, why="", now=2.0, chance=0.5)
    assert build.settle_all(books, now=2.0) == [("hide", "a")]
    assert not books.deliveries
    assert books.counts["released"] == 2


def test_a_release_that_comes_back_before_it_is_confirmed_is_run() -> None:
    """Its second delivery takes its place: given back each time, a loop would use up its receive count."""
    books = build.ledger()
    (a,) = build.receive(books, build.message("a"))
    build.dispatch(books)
    outcomes.retried(books, a.seq, 0.0, why="", now=1.0, chance=0.5)
    assert books.begin(books.hides.popleft())
    (second,) = build.receive(books, build.message("a", count=2), now=1.0)
    books.confirmed(a, now=1.0)
    assert build.dispatch(books, now=1.0) == [second]


def test_a_second_delivery_keeps_its_place_before_what_came_behind_it() -> None:
    """FIFO: the lease of a head was lost; it comes again, with its tail, while the handler still runs it."""
    books = build.ledger(fifo=True)
    build.receive(books, build.message("a1", group="a"))
    (a1,) = build.dispatch(books)
    books.lose(a1)
    build.receive(books, build.message("a1", group="a", count=2), build.message("a2", group="a"), now=40.0)
    assert build.dispatch(books, now=40.0) == []
    outcomes.acked(books, [a1.seq], now=41.0)
    assert build.names(build.dispatch(books, now=41.0)) == ["a1"]


def test_a_second_delivery_that_is_lost_too_starts_nothing_behind_it() -> None:
    """FIFO: nobody holds the head any more, so what came behind it goes back; else it ran before the head's rerun."""
    books = build.ledger(fifo=True)
    build.receive(books, build.message("a1", group="a"))
    (a1,) = build.dispatch(books)
    books.lose(a1)
    second, _ = build.receive(books, build.message("a1", group="a", count=2), build.message("a2", group="a"), now=40.0)
    books.lose(second)
    outcomes.acked(books, [a1.seq], now=41.0)
    assert build.dispatch(books, now=41.0) == []
    assert build.settle_all(books, now=41.0) == [("hide", "a2")]


def test_a_delete_beside_a_second_delivery_that_was_lost_is_remembered() -> None:
    """The first one's receipt was the old one: SQS said yes and deleted nothing. The third delivery is not run."""
    books = build.ledger()
    (a,) = build.receive(books, build.message("a"))
    build.dispatch(books)
    (second,) = build.receive(books, build.message("a", count=2), now=1.0)
    outcomes.acked(books, [a.seq], now=2.0)
    books.lose(second)
    assert build.settle_all(books, now=2.0) == [("delete", "a")]
    build.receive(books, build.message("a", count=3), now=40.0)
    assert build.dispatch(books, now=40.0) == []
    assert build.settle_all(books, now=40.0) == [("delete", "a")]


def test_a_delete_by_an_heir_with_an_old_receipt_is_remembered() -> None:
    """A third delivery came and was lost, and its receipt was the newest: the heir's delete deletes nothing."""
    books = build.ledger()
    first, second, third = build.receive(books, *(build.message("a", count=count) for count in (1, 2, 3)))
    books.lose(third)
    books.lose(first)
    assert build.dispatch(books, now=1.0) == [second]
    outcomes.acked(books, [second.seq], now=2.0)
    assert build.settle_all(books, now=2.0) == [("delete", "a")]
    build.receive(books, build.message("a", count=4), now=40.0)
    assert build.dispatch(books, now=40.0) == []
    assert build.settle_all(books, now=40.0) == [("delete", "a")]


def test_a_damaged_message_is_not_run() -> None:
    """Its MD5 is wrong: given back, hidden."""
    books = build.ledger()
    build.receive(books, build.message("a", intact=False))
    assert build.dispatch(books) == []
    assert build.settle_all(books) == [("hide", "a")]


def test_what_arrives_while_draining_is_released() -> None:
    """A long poll that was on its way."""
    books = build.ledger()
    books.drain()
    build.receive(books, build.message("a"), build.message("b"))
    assert build.dispatch(books) == []
    assert sorted(build.settle_all(books)) == [("hide", "a"), ("hide", "b")]


def test_a_group_that_arrives_while_draining_is_released_tail_first() -> None:
    """One long poll brought them all; the head's release waits for the tail's."""
    books = build.ledger(fifo=True)
    books.drain()
    build.receive(books, *[build.message(f"a{n}", group="a") for n in (1, 2, 3)])
    assert [one.message_id for one in books.hides] == ["a3", "a2"]
    assert build.settle_all(books) == [("hide", "a3"), ("hide", "a2"), ("hide", "a1")]


def test_what_comes_back_while_its_group_is_released_is_hidden_for_a_moment() -> None:
    """FIFO. Shown at once it came back again before the rest was confirmed, till its receive count was used up."""
    books = build.ledger(fifo=True)
    (a1,) = build.receive(books, build.message("a1", group="a"))
    books.release(a1)
    books.begin(books.hides.popleft())
    second, behind = build.receive(
        books, build.message("a1", group="a", count=2), build.message("a2", group="a"), now=1.0
    )
    assert behind.settlement is not None
    assert behind.settlement.seconds > 0
    books.confirmed(a1, now=1.0)
    assert second.settlement is not None
    assert second.settlement.seconds > 0
    assert build.settle_all(books, now=1.0) == [("hide", "a2"), ("hide", "a1")]
    assert not books.closing


class TestAdoption:
    """A successor takes over: bodies are lost, leases are not."""

    @staticmethod
    def record(seq: int, name: str, group: str = "") -> Delivery:
        delivery = Delivery(seq, name, receipt=f"r-{name}", group=group, received_at=0.0)
        delivery.lease_end = build.VISIBILITY
        return delivery

    def adopted(self, books, delivery, *, running=False, kind=None):
        delivery.place = books.table.add()
        arrivals.adopted(books, delivery, running=running, kind=kind)

    def test_what_ran_goes_on_and_its_ack_is_deleted(self) -> None:
        """No duplicate for the death of a poller."""
        books = build.ledger()
        a = self.record(7, "a")
        self.adopted(books, a, running=True)
        arrivals.adoption_complete(books)
        assert a.state is State.DISPATCHED
        outcomes.acked(books, [7], now=1.0)
        assert build.settle_all(books, now=1.0) == [("delete", "a")]
        assert books.next_seq == 8

    def test_what_was_done_is_deleted(self) -> None:
        """Its ack was written down before the poller died."""
        books = build.ledger()
        self.adopted(books, self.record(7, "a"), kind=Kind.ACK)
        arrivals.adoption_complete(books)
        assert build.settle_all(books) == [("delete", "a")]

    def test_the_ready_line_is_released(self) -> None:
        """Its bodies died with the poller; of a group the tail goes first."""
        books = build.ledger(fifo=True)
        for seq, name in enumerate(("a1", "a2", "a3"), 1):
            self.adopted(books, self.record(seq, name, "a"), running=name == "a1")
        arrivals.adoption_complete(books)
        assert build.settle_all(books) == [("hide", "a3"), ("hide", "a2")]
        outcomes.acked(books, [1], now=1.0)
        assert build.settle_all(books, now=1.0) == [("delete", "a1")]

    def test_a_bodyless_message_is_released_not_run_again(self) -> None:
        """Its handler died too."""
        books = build.ledger()
        self.adopted(books, self.record(1, "a"), running=True)
        books.deliveries[1].handler = 5
        arrivals.adoption_complete(books)
        outcomes.died(books, 5, {1}, death=outcomes.Death(why=""), now=1.0, chance=0.5)
        assert build.settle_all(books, now=1.0) == [("hide", "a")]
