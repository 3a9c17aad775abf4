"""Supervisor process: the slow tick. Who makes no progress is killed; who is late to start or to die is reported."""

from __future__ import annotations

from worker.policy.watch import stuck
from worker.supervisor.ending import kill
from worker.supervisor.pool import Pool
from worker.supervisor.tree import Child, Phase, QueueSet

#: Seconds between two looks, and the longest sleep of the supervisor.
TICK = 5.0
#: Looks per time that a poller may go without progress, where that is so short that the tick would see it late.
LOOKS = 4
#: Seconds of oversleeping after which nobody else is blamed for being late: the machine or we were suspended.
OVERSLEPT = 1.0
#: Seconds after which a start is reported as slow, and a kill as without effect (a process in uninterruptible I/O).
SLOW_START, SLOW_DEATH = 60.0, 10.0


def wake(pool: Pool, *, now: float) -> None:
    """Notice that time has passed without us: a suspended laptop, or SIGSTOP to the pool."""
    if now > pool.next_turn + OVERSLEPT:
        pool.awake_since = now


def step(pool: Pool, *, now: float) -> float:
    """Look at everybody, if it is time; returns when it is time again."""
    for child in pool.children():
        if now >= child.expected_dead and child.killed_at > now:
            pool.log.warning("child_lingered", **child.fields(), reason="it was to end, and did not")
            kill(pool, child, now=now)
    expected = min((child.expected_dead for child in pool.children() if child.killed_at > now), default=float("inf"))
    if now >= pool.watch_at:
        for queue_set in pool.sets:
            _look(pool, queue_set, now)
        pool.watch_at = now + _interval(pool)
    return min(expected, pool.watch_at)


def _look(pool: Pool, queue_set: QueueSet, now: float) -> None:
    for poller in list(queue_set.pollers.values()):
        reason = _stuck(pool, poller, now)
        if reason and poller.killed_at > now:
            pool.log.error("poller_stuck", **poller.fields(), reason=reason)
            poller.failure = poller.failure or reason
            kill(pool, poller, now=now)
    for child in queue_set.children():
        if now >= child.killed_at + SLOW_DEATH and child.phase is not Phase.STOPPING:
            # What it holds stays leased and is not released: it may still run. But its place goes to a spare.
            pool.log.error("child_unkillable", **child.fields(), seconds=round(now - child.killed_at))
            child.phase = Phase.STOPPING
        elif child.phase is Phase.STARTING and not child.warned and now >= child.started_at + SLOW_START:
            child.warned = True
            pool.log.warning("child_slow", **child.fields(), seconds=round(now - child.started_at))


def _stuck(pool: Pool, poller: Child, now: float) -> str:
    if not poller.ready_at:
        # It tries for as long as it takes to reach AWS: a dependency that is down is no reason to restart anything.
        return ""
    facts, queue = pool.outside.poller_facts(poller), poller.queue_set.queue
    if not facts.pid:
        return ""  # we could not look: no descriptor was free for it
    receives = poller.queue_set.budget is None and not pool.paused
    return stuck(
        progress=facts.progress,
        received_at=facts.received_at,
        quiet_until=facts.quiet_until if receives else float("inf"),
        fair_from=max(poller.ready_at, pool.awake_since),
        now=now,
        visibility_timeout=queue.visibility_timeout,
        wait=queue.wait,
    )


def _interval(pool: Pool) -> float:
    limits = (s.queue.visibility_timeout / 3 / LOOKS for s in pool.sets if s.pollers)
    return min(TICK, *limits, TICK)
