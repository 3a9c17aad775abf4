"""What keeps a poller from being faster, as its slot says it."""

from __future__ import annotations

from collections.abc import Callable

from tests.poller.world import PlayedHandler, World
from worker.policy.requests import Delete, Receive
from worker.slots import PollerFacts


def work(world: World, seconds: float, *, per_step: int = 1000) -> PollerFacts:
    """Let handlers finish up to so many messages each 50 ms; what the slot says at the end."""
    for _ in range(round(seconds / 0.05)):
        world.run(0.05)
        for handler in world.handlers:
            handler.read()
            _finish(handler, per_step)
    return world.slot.look()


def _finish(handler: PlayedHandler, count: int) -> None:
    for _ in range(min(count, len(handler.inbox))):
        handler.start()
        handler.finish()


def test_an_empty_queue_is_the_limit(worlds: Callable[..., World]) -> None:
    """There is nothing to do for an operator."""
    world = worlds()
    assert world.run(12.0) is None
    assert world.slot.look().limit == "queue"


def test_handlers_that_are_slower_than_the_queue_are_the_limit(worlds: Callable[..., World]) -> None:
    """Their line stands, and nothing more is asked for."""
    world = worlds(ready_messages=20)
    world.send(*[f"{n}" for n in range(180)])
    facts = work(world, 6.0, per_step=1)
    assert facts.limit == "handlers"
    assert 0 < facts.per_second < 40
    assert facts.receive_seconds > 0
    assert facts.settle_seconds > 0


def test_bodies_that_fill_the_line_are_the_limit(worlds: Callable[..., World]) -> None:
    """With a handler that would take more of them than may be held."""
    world = worlds(ready_bytes=200_000)
    world.send(*["x" * 50_000 for _ in range(150)])
    facts = work(world, 6.0, per_step=1)
    assert facts.limit == "bytes"
    assert world.ledger.line.bytes <= 200_000
    assert facts.counters["deleted"] > 80


def test_a_body_that_is_larger_than_the_line_may_hold_is_received_alone(worlds: Callable[..., World]) -> None:
    """Bytes bound what waits; they must not bar the one message that comes next."""
    world = worlds(ready_bytes=20_000)
    world.send(*["x" * 50_000 for _ in range(20)])
    work(world, 12.0, per_step=1)
    assert world.depth() == (0, 0)


def test_a_deny_of_deletes_is_the_limit_and_stops_receives(worlds: Callable[..., World]) -> None:
    """Their backlog would fill the table; the limit is named though no delete ever succeeded."""
    world = worlds(ready_messages=1000)
    world.fault(effect="throttle", action="DeleteMessageBatch")
    world.send(*[f"{n}" for n in range(400)])
    for handler in world.handlers:
        handler.link.service = 0.0001
    facts = work(world, 8.0)
    assert facts.limit in ("deletes", "leases")
    assert len(world.ledger.deliveries) <= 200


def test_failing_receives_are_the_limit(worlds: Callable[..., World]) -> None:
    """What fails, the trouble beside it says."""
    world = worlds()
    world.fault(effect="throttle", action="ReceiveMessage")
    world.run(15.0)
    facts = world.slot.look()
    assert (facts.limit, facts.trouble) == ("endpoint", "throttled")


def test_a_paused_poller_has_no_limit(worlds: Callable[..., World]) -> None:
    """Nobody wants more of it."""
    world = worlds()
    world.state.paused = True
    world.run(14.0)
    assert world.slot.look().limit == ""


def test_a_message_at_load_costs_a_fifth_of_a_call(worlds: Callable[..., World]) -> None:
    """Ten a receive and ten a delete: 0.21 calls at most, from the first second to the last message but a hundred."""
    world = worlds()
    world.send(*[f"{n}" for n in range(2000)])
    while sum(world.depth()) > 100:
        work(world, 0.05)
    settled = 2000 - sum(world.depth())
    assert len(world.sqs.requests) <= 0.21 * settled


def test_few_messages_share_a_delete(worlds: Callable[..., World]) -> None:
    """Outcomes within a tenth of a second travel together; a tenth of a second later all have been settled."""
    world = worlds()
    world.send(*[f"{n}" for n in range(8)])
    world.run(0.1)
    (handler,) = world.handlers
    for _ in range(8):
        handler.read()
        _finish(handler, 1)
        world.run(0.01, step=0.01)
    world.run(0.15, step=0.01)
    assert world.depth() == (0, 0)
    deletes = [request for request in world.sqs.requests if isinstance(request, Delete)]
    assert sum(len(request.receipts) for request in deletes) == 8
    assert len(deletes) == 1


def test_a_burst_leaves_one_scout(worlds: Callable[..., World]) -> None:
    """When the polls that it opened have ended, one is open, and six are sent in a minute."""
    world = worlds()
    world.send(*[f"{n}" for n in range(150)])
    work(world, 25.0)
    sent = len(world.sqs.requests)
    world.run(60.0)
    receives = [request for request in world.sqs.requests[sent:] if isinstance(request, Receive)]
    assert len(receives) <= 6
    assert world.sqs.receiving == 1
