"""Messages past their deadline: the poller judges, once for each start."""

from __future__ import annotations

from collections.abc import Callable

from tests.poller.world import World
from worker.message import Kind
from worker.protocol import ControlFrame


def test_a_message_that_hangs_again_after_its_retry_is_reported_again(worlds: Callable[..., World]) -> None:
    """A FIFO message is retried in the pool, under the same sequence, and nobody else would end its second hang."""
    world = worlds(fifo=True, handler_timeout=300.0)
    world.send("hang", group="g")
    world.run(0.3)
    (handler,) = world.handlers
    handler.read()
    handler.start()
    world.run(310.0, step=0.5)
    handler.finish(Kind.RETRY, after=0.0)
    world.run(0.3)
    handler.read()
    handler.start()
    world.run(310.0, step=0.5)
    assert [one.kind for one in world.orders()].count(ControlFrame.OVERDUE) == 2
