"""Supervisor process: what follows from a death. The child is reaped by now, and its process group with it."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from typing import Any

from worker.policy import restarts
from worker.supervisor import reloading, stopping
from worker.supervisor.pool import GAUGES, Pool
from worker.supervisor.tree import Bequest, Child, Phase, QueueSet, Role, SetState

#: Bytes of a dead handler's stacks that travel to its poller.
STACK = 8 * 1024


@dataclass(frozen=True, slots=True)
class End:
    """How a child ended."""

    status: int  #: as wait() tells it
    peak: int  #: bytes it held at most

    @property
    def signal(self) -> int:
        """The signal that ended it, or 0."""
        return os.WTERMSIG(self.status) if os.WIFSIGNALED(self.status) else 0

    @property
    def code(self) -> int | None:
        """Its exit code, or None if a signal ended it."""
        return os.WEXITSTATUS(self.status) if os.WIFEXITED(self.status) else None


def died(pool: Pool, child: Child, end: End, *, now: float, chance: float) -> None:
    """Take a child out of the tree, and draw the conclusions. The next turn fills the gap."""
    queue_set = child.queue_set
    stack = pool.outside.stacks(child) if child.role is not Role.POLLER else ""
    _log(pool, child, end, now=now, stack=stack)
    if child.role is Role.POLLER:
        del queue_set.pollers[child.number]
        _keep_counters(pool, child)
    elif child.role is Role.TEMPLATE:
        queue_set.template = None
    else:
        del queue_set.handlers[child.uid]
    queue_set.replaced[child.role, child.number] += not child.caused
    if child.role is Role.HANDLER and child.poller is not None:
        # Whatever the poller gave it, or a predecessor of the poller, has to be accounted for.
        queue_set.bequests.append(Bequest(child, notice(child, end, stack)))
    else:
        pool.outside.bury(child)
    if not child.ready_at and not child.caused:
        _died_early(pool, child, end, now=now, chance=chance)
    if child.role is Role.TEMPLATE:
        _forget_unborn(pool, queue_set, end, now=now, chance=chance)


def _forget_unborn(pool: Pool, queue_set: QueueSet, end: End, *, now: float, chance: float) -> None:
    """Those whom the dead template was asked for. They count as failed starts: a fork may be what it died of."""
    for handler in queue_set.unborn():
        del queue_set.handlers[handler.uid]
        pool.outside.bury(handler)
        handler.failure = handler.failure or "its template died before it had forked it"
        pool.log.warning("spawn_failed", **handler.fields(), reason=handler.failure)
        if not handler.caused:
            _died_early(pool, handler, end, now=now, chance=chance)


def notice(child: Child, end: End, stack: str) -> dict[str, Any]:
    """The header of DIED."""
    return {
        "handler": child.uid,
        "status": end.status,
        "signal": end.signal,
        "code": end.code,
        "peak": end.peak,
        "caused": child.caused,
        "overdue": child.overdue,
        "stack": stack[:STACK],
    }


def _died_early(pool: Pool, child: Child, end: End, *, now: float, chance: float) -> None:
    """A death before READY: the first boot decides whether there is anything to run; later ones wait and count."""
    queue_set = child.queue_set
    reason = child.failure or _text(end)
    if pool.reload and queue_set in pool.reload.new:
        reloading.abort(pool, f"the new {child.role} of queue {queue_set.queue.name} did not start: {reason}", now=now)
        return
    refused = child.refused or end.code == os.EX_CONFIG
    if refused and child.role not in queue_set.booted and queue_set.budget is None:
        pool.log.error("config_rejected", queue=queue_set.queue.name, process=child.role, reason=reason)
        stopping.begin(pool, now=now, reason="config_rejected", code=os.EX_CONFIG)
        return
    history = queue_set.restarts[child.role]
    history = restarts.died_early(history, started_at=child.started_at, now=now, chance=chance)
    queue_set.restarts[child.role] = history
    if queue_set.budget is None and restarts.hopeless(history, others_ready=queue_set.ready(child.role)):
        give_up(pool, queue_set, f"{history.deaths} starts of a {child.role} failed in a row; last: {reason}", now=now)


def give_up(pool: Pool, queue_set: QueueSet, reason: str, *, now: float) -> None:
    """Stop a queue that cannot be run, and go on with the others; with none left, stop."""
    queue_set.state, queue_set.reason = SetState.GAVE_UP, reason
    pool.log.error("queue_gave_up", queue=queue_set.queue.name, reason=reason)
    stopping.retire(queue_set, stopping.budget(now, queue_set.settings.drain_timeout))
    if all(other.state is SetState.GAVE_UP for other in pool.current()):
        if pool.reload:
            return  # the generation that starts may be the cure; if not, its abort comes back to this
        stopping.begin(pool, now=now, reason="every queue gave up", code=os.EX_SOFTWARE)


def _keep_counters(pool: Pool, poller: Child) -> None:
    """What a poller counted stays counted; what it held is its successor's."""
    facts = pool.outside.poller_facts(poller)
    pool.busy_until = max(pool.busy_until, facts.busy_until)
    counters = facts.counters
    total = pool.totals.setdefault(poller.queue_set.queue.name, Counter())
    total.update({name: count for name, count in counters.items() if name not in GAUGES})


def _log(pool: Pool, child: Child, end: End, *, now: float, stack: str) -> None:
    say = pool.log.info if child.caused or child.phase is Phase.STOPPING else pool.log.warning
    say(
        "child_died",
        **child.fields(),
        uid=child.uid,
        signal=end.signal or None,
        code=end.code,
        seconds=round(now - child.started_at, 1),
        ready=bool(child.ready_at),
        overdue=child.overdue or None,
        reason=child.failure or None,
        stack=stack or None,
    )


def _text(end: End) -> str:
    return f"signal {end.signal}" if end.signal else f"exit code {end.code}"
