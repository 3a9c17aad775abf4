"""Supervisor process: one turn of the loop. After every batch of events all rules look at the tree, once.

Events only note what happened; what follows is decided here, from the state of the tree. So it does not matter in
which order a storm of deaths, signals and requests arrives, and a rule that was interrupted is simply run again.
"""

from __future__ import annotations

from worker.settings import Settings
from worker.supervisor import filling, overdue, recycling, reloading, stacks, starting, stopping, until_empty, watching
from worker.supervisor.pool import Pool
from worker.supervisor.tree import Phase, QueueSet, SetState


def begin(pool: Pool, config: Settings, *, now: float) -> None:
    """The first generation; the first turn starts its processes."""
    generation = next(pool.generations)
    for queue in config.queues:
        starting.new_set(pool, config, queue, generation=generation, now=now)
    queues = {queue.name: f"{queue.pollers}+{queue.handlers}+{queue.spares}" for queue in config.queues}
    out = list(config.left_out) or None
    pool.log.info("supervisor_started", pid=pool.pid, config=config.config or None, queues=queues, left_out=out)


def step(pool: Pool, *, now: float, chance: float) -> float:
    """Do what is due; returns the seconds until something else is, if nothing happens."""
    watching.wake(pool, now=now)
    due = [overdue.step(pool, now=now), stacks.step(pool, now=now)]
    for queue_set in list(pool.sets):
        due.append(recycling.step(pool, queue_set, now=now, chance=chance))
        due.append(filling.fill(pool, queue_set, now=now, chance=chance))
        due.append(stopping.step(pool, queue_set, now))
        _note_readiness(pool, queue_set, now)
    due.append(reloading.step(pool, now=now))
    due.append(watching.step(pool, now=now))
    due.append(until_empty.step(pool, now=now))
    stopping.finish(pool, now)
    if pool.state() != pool.state_shown:
        pool.state_shown, pool.state_since = pool.state(), now
    sleep = max(0.0, min(due) - now)
    pool.next_turn = now + sleep
    return sleep


def _note_readiness(pool: Pool, queue_set: QueueSet, now: float) -> None:
    """A set runs from the moment at which every poller polls and every place has a handler that was ready."""
    if queue_set.state is not SetState.STARTING:
        return
    polling = sum(1 for poller in queue_set.pollers.values() if poller.ready_at)
    serving = len(queue_set.in_phase(Phase.SERVING))
    if polling == queue_set.queue.pollers and serving >= queue_set.wanted:
        queue_set.state = SetState.RUNNING
        seconds = round(now - queue_set.started_at, 2)
        pool.log.info("queue_ready", queue=queue_set.queue.name, generation=queue_set.generation, seconds=seconds)
