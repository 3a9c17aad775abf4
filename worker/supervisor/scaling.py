"""Supervisor process: how much the pool takes on: more or fewer handlers, receiving paused or resumed."""

from __future__ import annotations

from worker.protocol import ControlFrame
from worker.supervisor.ending import dismiss
from worker.supervisor.pool import Pool
from worker.supervisor.tree import Child, Phase, QueueSet, Role

#: Handler processes of one queue; each costs the supervisor three descriptors.
MOST = 1000


def scale(pool: Pool, queue: str, *, handlers: int, now: float) -> str:
    """Set the number of handlers of a queue; returns why not, or "". The next turn starts what is missing."""
    sets = [s for s in pool.sets if s.queue.name == queue and s.budget is None]
    if not sets:
        return unknown_queue(pool, queue)
    least = max(s.queue.pollers for s in sets)
    if not least <= handlers <= MOST:
        why = "a queue without handlers is stopped by `drain`, or by leaving it out of the config"
        why = f"each of its {least} pollers needs one" if least > 1 else why
        return f"queue {queue} can have {least} to {MOST} handlers, not {handlers}: {why}"
    for queue_set in sets:
        before, queue_set.wanted = queue_set.wanted, handlers
        if before != handlers:
            pool.log.info("queue_scaled", queue=queue, handlers=handlers, before=before)
        for handler in queue_set.in_phase(Phase.SERVING):
            if handler.number >= handlers:
                leave(pool, queue_set, handler, now=now)
    return ""


def scale_all(pool: Pool, change: int, *, now: float) -> None:
    """One handler more or less in every queue, as far as that goes."""
    for queue_set in [s for s in pool.current() if s.budget is None]:
        wanted = min(MOST, max(queue_set.queue.pollers, queue_set.wanted + change))
        scale(pool, queue_set.queue.name, handlers=wanted, now=now)


def pause(pool: Pool) -> str:
    """No new receives until `resume`; returns why not, or ""."""
    if pool.stop is None and not pool.paused:
        pool.paused = True
        _tell_pollers(pool, ControlFrame.PAUSE)
        pool.log.info("receiving_paused")
    return _draining(pool)


def resume(pool: Pool, *, now: float) -> str:
    """Receive again. A drain is not undone by it; returns why not, or ""."""
    if pool.stop is None and pool.paused:
        pool.paused = False
        # The last receive lies before the pause, which is nobody's fault.
        pool.awake_since = now
        _tell_pollers(pool, ControlFrame.RESUME)
        pool.log.info("receiving_resumed")
    return _draining(pool)


def unknown_queue(pool: Pool, queue: str) -> str:
    """The complaint about a name that no running queue has."""
    known = sorted({s.queue.name for s in pool.sets if s.budget is None})
    return f"no queue {queue!r} is running; running are: {', '.join(known) or 'none'}"


def leave(pool: Pool, queue_set: QueueSet, handler: Child, *, now: float) -> None:
    """Empty a handler first: its poller answers DETACHED when it holds nothing, and only then it is stopped."""
    if handler.poller is None:
        dismiss(pool, handler, now=now)
        return
    handler.phase = Phase.LEAVING
    poller = queue_set.poller_of(handler)
    if poller is not None and handler.poller is poller:
        pool.outside.send(poller, ControlFrame.DETACH, {"handler": handler.uid})


def _tell_pollers(pool: Pool, kind: ControlFrame) -> None:
    for child in pool.children():
        if child.role is Role.POLLER:
            pool.outside.send(child, kind)


def _draining(pool: Pool) -> str:
    return "the pool is draining, which nothing undoes" if pool.stop else ""
