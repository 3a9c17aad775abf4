"""Supervisor process: how one child is ended: told to stop, or killed."""

from __future__ import annotations

from worker.protocol import ControlFrame
from worker.supervisor.pool import Pool
from worker.supervisor.tree import Child, Phase, Role

#: Seconds that a handler which holds nothing has for its own cleanup after STOP.
CLEANUP = 10.0


def dismiss(pool: Pool, child: Child, *, now: float) -> None:
    """End a handler or template that holds nothing: a booting one reads no frames, and has nothing to finish."""
    if child.phase is Phase.STARTING:
        kill(pool, child, now=now, caused=True)
    else:
        child.expected_dead = min(child.expected_dead, now + _cleanup(child))
        pool.outside.send(child, ControlFrame.STOP)
    child.phase, child.caused = Phase.STOPPING, True


def _cleanup(child: Child) -> float:
    """User code that asks for its own end of the process gets as long as a drain; in a drain, what is left of that."""
    queue_set = child.queue_set
    has_own = child.role is Role.HANDLER and queue_set.queue.on_stop
    return max(CLEANUP, queue_set.settings.drain_timeout) if has_own else CLEANUP


def kill(pool: Pool, child: Child, *, now: float, caused: bool = False) -> None:
    """SIGKILL its process group, once. `caused`: for no fault of its own."""
    if child.killed_at <= now:
        return
    child.killed_at = now
    child.caused = child.caused or caused
    pool.outside.kill(child)
