"""Supervisor process: replaces handlers that have served long enough, one at a time, by a spare that is ready."""

from __future__ import annotations

from worker.policy.recycling import Wear, worn
from worker.settings import RecycleSettings
from worker.supervisor.pool import Pool
from worker.supervisor.scaling import leave
from worker.supervisor.tree import Child, Phase, QueueSet, SetState

#: Seconds between two looks.
LOOK = 1.0


def step(pool: Pool, queue_set: QueueSet, *, now: float, chance: float) -> float:
    """Look, if it is time; returns when it is time again. Nothing is left without a place, nothing is cut off."""
    limits = queue_set.queue.recycle
    if limits == RecycleSettings() or queue_set.budget is not None or queue_set.state is not SetState.RUNNING:
        return float("inf")
    if now < queue_set.recycle_at:
        return queue_set.recycle_at
    queue_set.recycle_at = now + LOOK
    # Who is in its last hook counts: its place is served, but a hook that hangs must not leave a crowd behind.
    busy = bool(queue_set.in_phase(Phase.LEAVING, Phase.STOPPING)) or not queue_set.in_phase(Phase.SPARE)
    for handler in queue_set.in_phase(Phase.SERVING):
        reason = _worn(pool, handler, limits, now=now, chance=chance)
        if reason and not busy:
            # The spare takes the place in this same turn; the old one is emptied first, between two messages.
            pool.log.info("handler_recycled", **handler.fields(), uid=handler.uid, reason=reason)
            leave(pool, queue_set, handler, now=now)
            busy = True
    return queue_set.recycle_at


def _worn(pool: Pool, handler: Child, limits: RecycleSettings, *, now: float, chance: float) -> str:
    if handler.wear is None:
        handler.wear = Wear(share=(chance + handler.uid * 0.618) % 1.0)
    facts = pool.outside.handler_facts(handler)
    age = now - handler.started_at
    return worn(handler.wear, limits, done=facts.done, age=age, resident=facts.resident)
