"""Supervisor process: ends a pool whose queues are all empty, if it is to end then (`worker run --until-empty`).

Pollers find out whether their queue is empty (policy.emptiness); here it is decided when that holds for all at once.
A message may go on from one queue to another, so the evidence of each has to be later than the last work of any.
"""

from __future__ import annotations

import os

from worker.slots import PollerFacts
from worker.supervisor import stopping
from worker.supervisor.pool import Pool
from worker.supervisor.tree import QueueSet, SetState

#: Seconds between two looks at the pollers' slots.
LOOK = 0.25
#: Seconds after which evidence counts no more: a poller renews it every few seconds, unless it or the machine sleeps.
FRESH = 60.0


def step(pool: Pool, *, now: float) -> float:
    """Begin the drain, if it is time; returns when to look again, at the latest."""
    if not pool.settings.until_empty or pool.stop:
        return float("inf")
    if pool.reload or pool.paused or not _empty(pool, now):
        return now + LOOK
    gave_up = [queue_set.queue.name for queue_set in pool.sets if queue_set.state is SetState.GAVE_UP]
    if gave_up:
        # It will never be empty, and there is nothing else to do.
        reason = f"every other queue is empty, and {', '.join(gave_up)} gave up"
        stopping.begin(pool, now=now, reason=reason, code=os.EX_SOFTWARE)
    else:
        stopping.begin(pool, now=now, reason="every queue is empty")
    return now


def _empty(pool: Pool, now: float) -> bool:
    """Whether all pollers say so, with evidence that is later than whatever any of them, or of the dead, has held."""
    facts: list[PollerFacts] = []
    for queue_set in pool.sets:
        if queue_set.state is SetState.GAVE_UP:
            continue
        if queue_set.state is not SetState.RUNNING or not _all_ready(queue_set):
            return False  # it starts, or belongs to a generation that still finishes what it runs
        facts += [pool.outside.poller_facts(poller) for poller in queue_set.pollers.values()]
    latest = max(pool.busy_until, now - FRESH, *(one.busy_until for one in facts))
    return bool(facts) and min(one.empty_since for one in facts) > latest


def _all_ready(queue_set: QueueSet) -> bool:
    return len(queue_set.pollers) == queue_set.queue.pollers and all(p.ready_at for p in queue_set.pollers.values())
