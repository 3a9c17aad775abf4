"""A message's way through one poller: receive, dispatch, outcome, settlement, by step() under a virtual clock."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.poller.world import World
from worker.message import Kind
from worker.policy.outcomes import Death
from worker.policy.requests import Delete, Hide, Receive, Send
from worker.protocol import ControlFrame


def work_off(world: World, *, seconds: float = 5.0) -> int:
    """Every handler acks all it gets for a while."""
    done = 0
    for _ in range(int(seconds / 0.05)):
        world.run(0.05)
        for handler in world.handlers:
            handler.read()
            while handler.inbox:
                handler.start()
                handler.finish()
                done += 1
    world.run(0.3)
    return done


def test_a_message_is_received_handled_and_deleted(worlds: Callable[..., World]) -> None:
    """The whole ring."""
    world = worlds()
    world.send("hello")
    world.run(0.3)
    (handler,) = world.handlers
    handler.read()
    assert [parcel.body for parcel in handler.inbox] == [b"hello"]
    handler.start()
    handler.finish()
    world.run(0.3)
    assert world.depth() == (0, 0)
    assert world.ledger.counts["deleted"] == 1
    assert not world.ledger.deliveries


def test_deletes_gather_across_receives(worlds: Callable[..., World]) -> None:
    """At load about 0.21 calls a message: full receives, full delete batches."""
    world = worlds(handlers=2)
    world.send(*[f"{n}" for n in range(500)])
    assert work_off(world) == 500
    calls = [
        one for one in world.sqs.requests if not (isinstance(one, Receive) and one.wait and world.depth() == (0, 0))
    ]
    deletes = [len(one.receipts) for one in calls if isinstance(one, Delete)]
    assert sum(deletes) == 500
    assert len(deletes) <= 55
    assert world.state.counts["receives"] - world.state.counts["empty_receives"] <= 60


def test_an_idle_queue_costs_one_long_poll(worlds: Callable[..., World]) -> None:
    """Six calls a minute or fewer."""
    world = worlds()
    world.run(60.0)
    assert len(world.sqs.requests) <= 7
    assert world.sqs.receiving == 1


def test_no_receive_before_a_handler_is_ready(worlds: Callable[..., World]) -> None:
    """Else a broken application would burn receive counts."""
    world = worlds(handlers=0)
    world.send("a")
    world.run(20.0)
    assert world.sqs.requests == []
    assert world.depth() == (1, 0)


def test_a_long_message_is_beaten_and_never_redelivered(worlds: Callable[..., World]) -> None:
    """Five minutes at a visibility timeout of thirty seconds."""
    world = worlds(visibility_timeout=30.0, handler_timeout=1000.0)
    world.send("long")
    world.run(0.3)
    (handler,) = world.handlers
    handler.read()
    handler.start()
    world.run(300.0, step=0.5)
    handler.finish()
    world.run(0.3)
    assert world.ledger.counts["received"] == 1
    assert world.ledger.counts["deleted"] == 1
    assert world.depth() == (0, 0)


def test_beats_are_batched(worlds: Callable[..., World]) -> None:
    """Ten leases a request."""
    world = worlds(visibility_timeout=30.0)
    world.send(*[f"{n}" for n in range(10)])
    world.run(11.0)
    hides = [one for one in world.sqs.requests if isinstance(one, Hide)]
    assert [len(one.entries) for one in hides] == [10]


@pytest.mark.parametrize(("after", "hidden"), [(None, True), (0.0, False), (40.0, True)])
def test_a_retry_comes_back_after_its_time(worlds: Callable[..., World], after: float | None, hidden: bool) -> None:
    """By visibility; the message is the same, its receive count rises."""
    world = worlds()
    world.send("again")
    world.run(0.3)
    (handler,) = world.handlers
    handler.read()
    handler.start()
    handler.finish(Kind.RETRY, after=after, reason="later")
    world.run(0.3)
    assert world.ledger.counts["released"] == 1
    assert world.depth()[1] == (1 if hidden or after == 0.0 else 0)
    world.run(45.0, step=0.25)
    handler.read()
    assert handler.inbox[0].attributes["ApproximateReceiveCount"] == "2"


def test_a_reject_reaches_the_dead_letter_queue_before_the_delete(worlds: Callable[..., World]) -> None:
    """With body and attributes."""
    world = worlds()
    attributes = {"kind": {"DataType": "String", "StringValue": "order"}}
    world.server.call("SendMessage", QueueUrl=world.url, MessageBody="bad", MessageAttributes=attributes)
    world.run(0.3)
    (handler,) = world.handlers
    handler.read()
    handler.start()
    handler.finish(Kind.REJECT, reason="negative total", attributes=handler_attributes(attributes))
    world.run(0.3)
    assert world.depth() == (0, 0)
    (dead,) = world.server.call("ReceiveMessage", QueueUrl=world.dlq, MessageAttributeNames=["All"])["Messages"]
    assert dead["Body"] == "bad"
    assert dead["MessageAttributes"] == attributes
    kinds = [type(one) for one in world.sqs.requests if not isinstance(one, Receive)]
    assert kinds == [Send, Delete]


def handler_attributes(attributes: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """A handler tells a reject with the attributes it was given."""
    return attributes


def test_a_forward_is_sent_in_batches_and_then_deleted(worlds: Callable[..., World]) -> None:
    """Ten forwards are one send and one delete."""
    world = worlds()
    target = world.server.call("CreateQueue", QueueName="events")["QueueUrl"]
    world.send(*[f"{n}" for n in range(10)])
    (handler,) = world.handlers
    for _ in range(40):
        world.run(0.05)
        handler.read()
        while handler.inbox:
            handler.start()
            handler.finish(Kind.FORWARD, queue=target, body=b"event " + handler.inbox[0].body if handler.inbox else b"")
    assert world.depth(target) == (10, 0)
    assert world.depth() == (0, 0)
    assert world.ledger.counts["forwarded"] == 10
    sends = [one for one in world.sqs.requests if isinstance(one, Send)]
    assert len(sends) <= 4


def test_a_forward_to_nowhere_is_a_retry(worlds: Callable[..., World]) -> None:
    """Nothing is deleted."""
    world = worlds()
    world.send("a")
    world.run(0.3)
    (handler,) = world.handlers
    handler.read()
    handler.start()
    handler.finish(Kind.FORWARD, queue=world.url + "-missing", body=b"x")
    world.run(0.3)
    assert world.ledger.counts["deleted"] == 0
    assert world.ledger.counts["released"] == 1


def test_one_entry_that_sqs_refuses_does_not_condemn_its_batch(worlds: Callable[..., World]) -> None:
    """A forward with characters SQS does not take is retried; its neighbours go through."""
    world = worlds()
    target = world.server.call("CreateQueue", QueueName="events")["QueueUrl"]
    world.send(*"abc")
    (handler,) = world.handlers
    for _ in range(10):
        world.run(0.05)
        handler.read()
        while handler.inbox:
            handler.start()
            body = b"\x01" if handler.inbox[0].body == b"b" else b"fine"
            handler.finish(Kind.FORWARD, queue=target, body=body)
    assert world.depth(target) == (2, 0)
    assert world.ledger.counts["forwarded"] == 2
    assert world.ledger.counts["released"] == 1


class TestFifo:
    """Order, under a virtual clock."""

    def test_groups_run_in_parallel_and_in_order(self, worlds: Callable[..., World]) -> None:
        """Of a group one at a time; the next only after the confirmed delete of the one before."""
        world = worlds(fifo=True, handlers=2)
        for number in range(5):
            world.send(f"a{number}", group="a")
            world.send(f"b{number}", group="b")
        seen: list[str] = []
        for _ in range(100):
            world.run(0.05)
            for handler in world.handlers:
                handler.read()
                while handler.inbox:
                    handler.start()
                    seen.append(handler.inbox[0].body.decode())
                    handler.finish()
        assert [one for one in seen if one[0] == "a"] == [f"a{n}" for n in range(5)]
        assert [one for one in seen if one[0] == "b"] == [f"b{n}" for n in range(5)]
        assert world.depth() == (0, 0)

    def test_a_lost_receive_is_asked_again_with_the_same_id(self, worlds: Callable[..., World]) -> None:
        """SQS then gives the same messages at once, not after the visibility timeout."""
        world = worlds(fifo=True, handlers=0)
        world.fault(action="ReceiveMessage", effect="drop", when="after", count=1)
        world.send("a", group="a")
        from tests.poller.world import PlayedHandler

        world.handlers.append(PlayedHandler(world, 1))
        world.run(3.0)
        receives = [one for one in world.sqs.requests if isinstance(one, Receive)]
        assert receives[0].attempt == receives[1].attempt != ""
        assert [parcel.body for parcel in (world.handlers[0].read() and world.handlers[0].inbox)] == [b"a"]

    def test_what_a_killed_poller_was_about_to_receive_comes_to_its_successor(
        self, worlds: Callable[..., World]
    ) -> None:
        """The attempt id lies in the lease table: SQS gives the same messages again, and no timeout has to pass."""
        world = worlds(fifo=True, round_trip=0.5, visibility_timeout=60.0)
        world.send("a", "b", group="g")
        world.run(0.2)
        assert world.depth() == (0, 2), "they are on their way"
        world.kill_poller()
        world.run(2.0)
        receives = [one for one in world.sqs.requests if isinstance(one, Receive)]
        assert receives
        assert world.ledger.counts["received"] == 2
        assert [parcel.body for parcel in (world.handlers[0].read() and world.handlers[0].inbox)] == [b"a"]


class TestSuccessor:
    """SIGKILL of the poller: what its successor makes of the lease table and the handlers."""

    def test_running_work_goes_on_and_is_settled_once(self, worlds: Callable[..., World]) -> None:
        """No duplicate, whatever the handler did meanwhile."""
        world = worlds(visibility_timeout=30.0)
        world.send("a")
        world.run(0.3)
        (handler,) = world.handlers
        handler.read()
        handler.start()
        world.kill_poller()
        world.run(100.0, step=0.5)
        handler.finish()
        world.run(0.3)
        assert world.depth() == (0, 0)
        assert world.ledger.counts["received"] == 0

    def test_beats_go_on_at_once_whatever_the_handlers_do(self, worlds: Callable[..., World]) -> None:
        """C code that keeps the GIL, or SIGSTOP: no hello comes, and none is needed."""
        world = worlds(handlers=3, visibility_timeout=30.0)
        world.send("a", "b", "c")
        world.run(0.3)
        for handler in world.handlers:
            handler.read()
            handler.start()
        for handler in world.handlers:
            handler.close()
        world.close_poller()
        world.start_poller(expected={handler.uid for handler in world.handlers})
        world.settle()
        (beat,) = world.sqs.requests
        assert isinstance(beat, Hide)
        assert len(beat.entries) == 3
        world.run(200.0, step=0.5)
        assert world.ledger.counts["lost"] == 0
        assert all(isinstance(one, Hide) for one in world.sqs.requests), "no receive for handlers that do not answer"

    def test_an_ack_that_died_in_the_stream_is_read_from_the_ring(self, worlds: Callable[..., World]) -> None:
        """The handler function does not run again."""
        world = worlds()
        world.send("a")
        world.run(0.3)
        (handler,) = world.handlers
        handler.read()
        handler.start()
        handler.finish(tell=False)
        world.kill_poller()
        world.run(0.3)
        assert world.depth() == (0, 0)
        assert handler.inbox == []

    def test_what_was_given_out_and_not_started_can_come_back(self, worlds: Callable[..., World]) -> None:
        """The start was counted by the dead poller only; uncounting it once more killed the successor."""
        world = worlds()
        world.send("a")
        world.run(0.3)
        (handler,) = world.handlers
        handler.read()
        world.kill_poller()
        (adopted,) = world.ledger.deliveries.values()
        assert adopted.attempts == 1
        world.loop.stopping.begin(world.clock.now + 25.0, world.clock.now)
        handler.read()
        world.run(12.0)
        assert world.loop.stopping.code == 0
        assert world.depth()[0] + world.depth()[1] == 1
        assert not world.ledger.deliveries

    def test_the_ready_line_is_released_at_once(self, worlds: Callable[..., World]) -> None:
        """Its bodies died; nothing waits for the visibility timeout."""
        world = worlds()
        world.send(*[f"{n}" for n in range(10)])
        world.run(0.3)
        held = len(world.ledger.deliveries)
        assert held > 1
        world.kill_poller()
        assert work_off(world) == 10
        assert world.depth() == (0, 0)


def test_a_drain_leaves_nothing_in_flight(worlds: Callable[..., World]) -> None:
    """Long polls return, what waits is released, what runs finishes, and the poller says so."""
    world = worlds()
    world.send(*[f"{n}" for n in range(30)])
    world.run(0.3)
    (handler,) = world.handlers
    handler.read()
    handler.start()
    world.loop.stopping.begin(world.clock.now + 25.0, world.clock.now)
    world.run(3.0)
    handler.read()
    assert world.loop.stopping.code is None
    handler.finish()
    world.run(11.0)
    assert world.loop.stopping.code == 0
    assert world.depth() == (29, 0)
    (drained,) = [one for one in world.orders() if one.kind == ControlFrame.DRAINED]
    assert drained.header == {"unconfirmed": 0}


def test_a_drain_releases_nothing_that_its_own_long_polls_could_bring_back(worlds: Callable[..., World]) -> None:
    """Each time would cost a receive; eight polls could send a message that never ran to the dead-letter queue."""
    world = worlds(polls=2)
    world.send("runs", "waits")
    world.run(0.3)
    assert world.sqs.receiving
    world.loop.stopping.begin(world.clock.now + 25.0, world.clock.now)
    world.run(15.0)
    world.handlers[0].read()
    world.run(1.0)
    assert world.loop.stopping.code == 0
    found = world.server.call(
        "ReceiveMessage", QueueUrl=world.url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"]
    )
    assert [one["Attributes"]["ApproximateReceiveCount"] for one in found["Messages"]] == ["2", "2"]


def test_a_drain_that_is_hurried_does_not_wait_for_its_long_polls(worlds: Callable[..., World]) -> None:
    """Shortly before the deadline, what is held is released all the same."""
    world = worlds()
    world.send("a", "b")
    world.run(0.3)
    world.loop.stopping.begin(world.clock.now + 2.0, world.clock.now)
    world.run(1.0)
    assert world.ledger.counts["released"] >= 1


def test_a_drain_past_its_deadline_says_what_is_left(worlds: Callable[..., World]) -> None:
    """Exit 75: a settlement was not confirmed."""
    world = worlds()
    world.send("a")
    world.run(0.3)
    (handler,) = world.handlers
    handler.read()
    handler.start()
    world.loop.stopping.begin(world.clock.now + 25.0, world.clock.now)
    world.run(26.0)
    assert world.loop.stopping.code == 75


def test_an_overdue_message_is_reported_once(worlds: Callable[..., World]) -> None:
    """The supervisor kills its handler; until then the lease is kept."""
    world = worlds(handler_timeout=300.0)
    world.send("hang")
    world.run(0.3)
    (handler,) = world.handlers
    handler.read()
    handler.start()
    world.run(310.0, step=0.5)
    overdue = [one for one in world.orders() if one.kind == ControlFrame.OVERDUE]
    assert [one.header["handler"] for one in overdue] == [1]
    assert world.depth() == (0, 1)
    world.loop.dispatcher.died(1, Death(overdue=True, why="handler_timeout"), world.clock.now)
    world.run(0.3)
    assert world.ledger.counts["released"] == 1


def test_a_handlers_death_gives_its_unstarted_messages_to_another(worlds: Callable[..., World]) -> None:
    """At once, and without a new receive."""
    world = worlds(handlers=2)
    world.send(*[f"{n}" for n in range(10)])
    world.run(0.3)
    dead, alive = world.handlers
    dead.read()
    before = len([one for one in world.sqs.requests if isinstance(one, Receive)])
    world.loop.dispatcher.died(dead.uid, Death(why="signal 9"), world.clock.now)
    world.handlers.remove(dead)
    dead.close()
    assert work_off(world) == 10
    assert len([one for one in world.sqs.requests if isinstance(one, Receive)]) <= before + 3
    assert alive.finished == 10


def test_a_queue_that_fails_is_asked_less_and_recovers(worlds: Callable[..., World]) -> None:
    """A minute of 500s: capped backoff, then full rate within 30 s."""
    world = worlds()
    world.fault(effect="unavailable", action="ReceiveMessage", until=60)
    world.send("a")
    world.run(60.0, step=0.1)
    asked = len(world.sqs.requests)
    assert 3 <= asked <= 30
    world.run(30.0, step=0.1)
    world.handlers[0].read()
    assert len(world.handlers[0].inbox) == 1


def test_an_idle_loop_never_sleeps_for_ever(worlds: Callable[..., World]) -> None:
    """Its progress is shown well within the time the supervisor allows, whatever else there is to do."""
    world = worlds(visibility_timeout=30.0)
    for _ in range(100):
        wait = world.loop.step(world.clock.now)
        assert 0 <= wait <= 3.0
        world.run(0.3)
