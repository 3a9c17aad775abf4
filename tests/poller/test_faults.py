"""The endpoint fails in every way of the fault plan: what the poller does meanwhile and after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.poller.test_way import work_off
from tests.poller.world import World
from worker.message import Kind
from worker.policy.failures import FailureKind
from worker.policy.outcomes import Death
from worker.policy.requests import Hide, Receive
from worker.protocol import ControlFrame

ALL = ["ReceiveMessage", "DeleteMessageBatch", "ChangeMessageVisibilityBatch", "SendMessageBatch"]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"effect": "throttle"}, FailureKind.THROTTLED),
        ({"effect": "unavailable"}, FailureKind.TRANSIENT),
        ({"effect": "html"}, FailureKind.TRANSIENT),
        ({"effect": "drop", "when": "before"}, FailureKind.TRANSIENT),
        ({"effect": "drop", "when": "after"}, FailureKind.TRANSIENT),
        ({"effect": "black_hole", "when": "before"}, FailureKind.TRANSIENT),
        ({"effect": "trickle", "bytes_per_second": 1}, FailureKind.TRANSIENT),
        ({"effect": "error", "shape": "ExpiredToken", "status": 403}, FailureKind.CREDENTIALS),
        (
            {"effect": "error", "shape": "InvalidSignatureException", "status": 403, "message": "Signature expired: x"},
            FailureKind.CLOCK,
        ),
        ({"effect": "error", "shape": "KmsDisabled", "status": 400}, FailureKind.KMS),
        ({"effect": "error", "shape": "QueueDoesNotExist", "status": 400}, FailureKind.QUEUE_GONE),
        ({"effect": "error", "shape": "AccessDenied", "status": 403}, FailureKind.DENIED),
        ({"effect": "error", "shape": "OverLimit", "status": 403}, FailureKind.CAPACITY),
    ],
    ids=lambda value: value.get("shape", value["effect"]) if isinstance(value, dict) else None,
)
def test_receives_that_fail_have_a_state_and_recover(
    worlds: Callable[..., World], fault: dict[str, Any], kind: FailureKind
) -> None:
    """A class of its own, few requests while it lasts, one line each way, full rate within 30 s after healing."""
    world = worlds(wait=2.0)
    world.fault(action="ReceiveMessage", until=120, **fault)
    world.run(120.0, step=0.2)
    assert world.state.health.worst[0] is kind
    assert len([one for one in world.sqs.requests if isinstance(one, Receive)]) <= 60
    world.send(*[f"{n}" for n in range(50)])
    start = world.clock.now
    done = 0
    while done < 50 and world.clock.now < start + 60:
        done += work_off(world, seconds=1.0)
    assert world.clock.now - start <= 31, "looked at every second"
    assert world.state.health.worst[0] is None


@pytest.mark.parametrize("wait", [1.0, 10.0, 20.0])
@pytest.mark.parametrize("healed", [600.0 + 2.7 * place for place in range(12)])
def test_a_receive_that_hangs_while_the_endpoint_heals_delays_nothing_beyond_30_s(
    worlds: Callable[..., World], wait: float, healed: float
) -> None:
    """Whenever that is: the hang of a last receive and one more backoff are within them."""
    world = worlds(wait=wait)
    world.fault(action="ReceiveMessage", effect="black_hole", when="before", until=healed)
    world.run(healed, step=0.5)
    world.send("a")
    start = world.clock.now
    while not world.ledger.counts["received"] and world.clock.now < start + 60:
        world.run(0.5, step=0.1)
    assert world.clock.now - start <= 30


@pytest.mark.parametrize("effect", ["throttle", "unavailable", "drop"])
def test_deletes_that_fail_keep_their_leases_and_are_not_run_again(worlds: Callable[..., World], effect: str) -> None:
    """A minute of failing deletes at a visibility timeout of 30 s: beats go on, each message has one effect."""
    world = worlds(visibility_timeout=30.0)
    world.fault(
        action="DeleteMessageBatch", effect=effect, until=60, **({"when": "before"} if effect == "drop" else {})
    )
    world.send(*[f"{n}" for n in range(40)])
    assert work_off(world, seconds=70.0) == 40
    world.run(10.0)
    assert world.depth() == (0, 0)
    assert world.ledger.counts["lost"] == 0


def test_beats_that_fail_now_and_then_lose_no_lease(worlds: Callable[..., World]) -> None:
    """While one of three gets through."""
    world = worlds(visibility_timeout=30.0, handler_timeout=10_000.0)
    world.fault(action="ChangeMessageVisibilityBatch", effect="unavailable", probability=0.66)
    world.send(*[f"{n}" for n in range(20)])
    world.run(1.0)
    world.handlers[0].read()
    world.handlers[0].start()
    world.run(600.0, step=0.25)
    assert world.ledger.counts["lost"] == 0
    assert world.ledger.counts["received"] == world.ledger.counts["released"] + len(world.ledger.deliveries)


def test_receives_give_way_while_beats_fail(worlds: Callable[..., World]) -> None:
    """What waits in the line loses lease time: only what can start now is received, till beats get through again."""
    world = worlds(visibility_timeout=30.0, handler_timeout=10_000.0)
    world.send("long")
    world.run(0.3)
    world.handlers[0].read()
    world.handlers[0].start()
    world.fault(action="ChangeMessageVisibilityBatch", effect="throttle", until=25)
    world.run(11.0)
    before = world.loop.dispatcher.target()
    assert before == 1, "as many as there are places"
    world.send(*[f"{n}" for n in range(100)])
    world.run(5.0)
    assert len(world.ledger.deliveries) <= 1 + 10
    world.run(20.0)
    assert world.state.beats_fail is False
    assert world.loop.dispatcher.target() >= 10
    assert world.ledger.counts["lost"] == 0


def test_beats_that_fail_no_more_because_nothing_is_held_hold_nothing_up(worlds: Callable[..., World]) -> None:
    """No beat is due then, so none could show that they get through again."""
    world = worlds(visibility_timeout=30.0)
    world.send("a")
    world.run(0.3)
    world.handlers[0].read()
    world.handlers[0].start()
    world.fault(action="ChangeMessageVisibilityBatch", effect="unavailable")
    world.run(11.0)
    assert world.state.beats_fail
    world.handlers[0].finish()
    world.run(2.0)
    assert not world.ledger.deliveries
    assert not world.state.beats_fail


def test_receives_give_way_while_deletes_fail(worlds: Callable[..., World]) -> None:
    """Acks that nobody confirms fill the lease table: beyond some hundreds nothing new is received."""
    world = worlds(visibility_timeout=30.0)
    world.fault(action="DeleteMessageBatch", effect="unavailable", until=60)
    world.send(*[f"{n}" for n in range(1000)])
    done = work_off(world, seconds=30.0)
    assert done < 400
    assert len(world.ledger.deliveries) < 400
    done += work_off(world, seconds=60.0)
    assert done == 1000
    assert world.depth() == (0, 0)
    assert world.ledger.counts["lost"] == 0


def test_failing_calls_are_few_however_many_messages_wait(worlds: Callable[..., World]) -> None:
    """A dead endpoint costs about a request a second, not one per message."""
    world = worlds(visibility_timeout=60.0)
    world.send(*[f"{n}" for n in range(100)])
    world.run(0.3)
    world.handlers[0].read()
    for action in ALL:
        world.fault(action=action, effect="unavailable", until=30)
    before = len(world.sqs.requests)
    for _ in range(600):
        world.run(0.05)
        world.handlers[0].read()
        while world.handlers[0].inbox:
            world.handlers[0].start()
            world.handlers[0].finish()
    assert len(world.sqs.requests) - before < 90


class TestDeniedVisibility:
    """Many policies in use allow receive and delete, but not sqs:ChangeMessageVisibility."""

    @staticmethod
    def deny(world: World) -> None:
        world.fault(action="ChangeMessageVisibilityBatch", effect="error", shape="AccessDenied", status=403)

    def test_work_goes_on_without_heartbeats(self, worlds: Callable[..., World]) -> None:
        """One line says so; nothing is beaten; messages are handled and deleted."""
        world = worlds(visibility_timeout=30.0)
        self.deny(world)
        world.send(*[f"{n}" for n in range(10)])
        world.run(11.0)
        assert world.ledger.hiding_denied
        world.send(*[f"{n}" for n in range(10, 60)])
        work_off(world, seconds=40.0)
        assert world.depth() == (0, 0)
        beats = [one for one in world.sqs.requests if isinstance(one, Hide)]
        assert len(beats) <= 3

    def test_a_retry_waits_for_the_visibility_timeout(self, worlds: Callable[..., World]) -> None:
        """It comes back by itself, and is counted as released, not as lost."""
        world = worlds(visibility_timeout=30.0)
        self.deny(world)
        world.send("a")
        world.run(0.3)
        (handler,) = world.handlers
        handler.read()
        handler.start()
        handler.finish(Kind.RETRY, after=0.0, reason="")
        world.run(32.0, step=0.1)
        handler.read()
        assert handler.inbox[0].attributes["ApproximateReceiveCount"] == "2"
        assert (world.ledger.counts["released"], world.ledger.counts["lost"]) == (1, 0)

    def test_a_handler_is_stopped_before_its_lease_ends(self, worlds: Callable[..., World]) -> None:
        """handler_timeout is capped below the visibility timeout."""
        world = worlds(visibility_timeout=30.0, handler_timeout=300.0)
        self.deny(world)
        world.send("first")
        world.run(11.0)
        world.handlers[0].read()
        world.handlers[0].start()
        world.handlers[0].finish()
        world.run(0.5)
        world.send("second")
        world.run(0.5)
        world.handlers[0].read()
        (parcel,) = world.handlers[0].inbox
        assert parcel.expires <= world.clock.now + 30.0 - 2.0

    def test_who_started_before_the_denial_was_met_is_stopped_too(self, worlds: Callable[..., World]) -> None:
        """Its deadline is later than its lease; the order says that no `message.extend` counts."""
        world = worlds(visibility_timeout=30.0, handler_timeout=300.0)
        self.deny(world)
        world.send("first")
        world.run(0.3)
        world.handlers[0].read()
        world.handlers[0].start()
        world.run(25.0, step=0.1)
        assert world.orders() == []
        world.run(2.5, step=0.1)
        (order,) = world.orders()
        assert (order.kind, order.header["lease"]) == (ControlFrame.OVERDUE, True)
        assert world.ledger.counts["lost"] == 0
        world.loop.dispatcher.died(order.header["handler"], Death(overdue=True, why="signal 9"), world.clock.now)
        (event,) = world.ledger.events
        assert (event.name, event.delivery.attempts) == ("message_overdue", 1)

    def test_it_heals_when_the_policy_is_mended(self, worlds: Callable[..., World]) -> None:
        """Tried again once a minute."""
        world = worlds(visibility_timeout=30.0)
        world.fault(action="ChangeMessageVisibilityBatch", effect="error", shape="AccessDenied", status=403, until=100)
        world.send(*[f"{n}" for n in range(10)])
        world.run(101.0, step=0.1)
        work_off(world, seconds=3.0)
        world.send("long")
        world.run(1.0)
        world.handlers[0].read()
        world.handlers[0].start()
        world.run(120.0, step=0.25)
        assert not world.ledger.hiding_denied
        world.handlers[0].finish()
        world.run(0.5)
        assert world.depth() == (0, 0)

    def test_a_drain_ends_and_says_zero(self, worlds: Callable[..., World]) -> None:
        """What cannot be given back comes back by itself."""
        world = worlds(visibility_timeout=30.0)
        self.deny(world)
        world.send(*[f"{n}" for n in range(30)])
        world.run(11.0)
        world.loop.stopping.begin(world.clock.now + 25, world.clock.now)
        for _ in range(240):
            world.run(0.05)
            world.handlers[0].read()
            while world.handlers[0].inbox:
                world.handlers[0].start()
                world.handlers[0].finish()
        assert world.loop.stopping.code == 0
