"""Supervisor process: rolling replacement. A new generation of every queue gets ready, and then the old one drains.

The code may have changed even if the config did not, so every queue is replaced. As long as the new generation is not
ready, the old one does the work; a config that is bad, a boot that fails, or a minute without readiness ends the
attempt, and nothing has happened.
"""

from __future__ import annotations

import os

from worker.settings import POLL_GRACE, QueueSettings, Settings
from worker.supervisor import stopping
from worker.supervisor.pool import Pool, Reload
from worker.supervisor.starting import new_set
from worker.supervisor.tree import Phase, QueueSet, Role, SetState

#: Seconds that a new generation may take to get ready.
PATIENCE = 60.0


def request(pool: Pool, *, now: float) -> str:
    """Read the config and start a new generation; returns why not, or "". A drain wins over every reload."""
    if pool.stop:
        return "the pool is draining, which nothing undoes"
    if pool.reload:
        # The processes of the generation that is starting may have imported the code before it changed.
        pool.reload.again = True
        return ""
    try:
        config = pool.read_settings()
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the new config, the old pool works
        reason = str(error) or type(error).__name__
        pool.log.error("reload_aborted", reason=reason)
        return reason
    _begin(pool, config, now=now)
    return ""


def step(pool: Pool, *, now: float) -> float:
    """Finish or end a reload that is under way; returns when to look again, at the latest."""
    reload = pool.reload
    if reload is None:
        return float("inf")
    waiting = [s for s in reload.new if s.state is SetState.STARTING]
    if waiting and now < reload.started_at + PATIENCE:
        return reload.started_at + PATIENCE
    if waiting:
        lacks = "; ".join(f"queue {queue_set.queue.name} has {_lack(queue_set)}" for queue_set in waiting)
        abort(pool, f"not ready after {PATIENCE:.0f} s: {lacks}", now=now)
    else:
        _swap(pool, reload, now=now)
    return now


def abort(pool: Pool, reason: str, *, now: float) -> None:
    """Give up the new generation. It may have received by now, so it drains: killing it would repeat messages."""
    reload = pool.reload
    if reload is None:
        return
    pool.reload = None
    pool.log.error("reload_aborted", reason=reason)
    for queue_set in reload.new:
        stopping.retire(queue_set, stopping.budget(now, pool.settings.drain_timeout))
    _after(pool, reload, now=now)


def _begin(pool: Pool, config: Settings, *, now: float) -> None:
    old = [s for s in pool.sets if s.state is not SetState.DRAINING]
    if config.control_socket != pool.settings.control_socket:
        pool.log.warning("control_socket_kept", path=pool.settings.control_socket, reason="it changes with a restart")
    generation = next(pool.generations)
    new = [new_set(pool, config, queue, generation=generation, now=now) for queue in config.queues]
    for queue_set in new:
        queue_set.wanted = _carried(queue_set, old)
    pool.reload = Reload(config, now, old, new)
    pool.log.info("reload_started", generation=generation, queues=[queue.name for queue in config.queues])


def _carried(new: QueueSet, old: list[QueueSet]) -> int:
    """What an operator scaled stays, unless the file now says something else."""
    for queue_set in old:
        if queue_set.queue.name == new.queue.name and queue_set.queue.handlers == new.queue.handlers:
            return max(queue_set.wanted, new.queue.pollers)
    return new.wanted


def _swap(pool: Pool, reload: Reload, *, now: float) -> None:
    pool.reload = None
    pool.settings = reload.settings
    pool.log.level = reload.settings.log_level
    pool.log.about(name=reload.settings.name)
    for queue_set in reload.old:
        stopping.retire(queue_set, stopping.budget(now, _patience(queue_set.queue, pool.settings)))
        queue_set.state = SetState.DRAINING
    pool.log.info("reload_finished", seconds=round(now - reload.started_at, 2))
    _after(pool, reload, now=now)


def _after(pool: Pool, reload: Reload, *, now: float) -> None:
    if reload.again:
        request(pool, now=now)
    elif not pool.stop and all(s.state is SetState.GAVE_UP for s in pool.current()):
        stopping.begin(pool, now=now, reason="every queue gave up", code=os.EX_SOFTWARE)


def _patience(queue: QueueSettings, config: Settings) -> float:
    """Seconds that a replaced set may take. Nobody waits for it, so what runs may finish: that repeats no message."""
    return max(config.drain_timeout, (queue.handler_timeout + queue.wait + POLL_GRACE) / (1 - stopping.RESERVE_SHARE))


def _lack(queue_set: QueueSet) -> str:
    polling, serving = queue_set.ready(Role.POLLER), len(queue_set.in_phase(Phase.SERVING))
    return f"{polling} of {queue_set.queue.pollers} pollers and {serving} of {queue_set.wanted} handlers ready"
