"""Supervisor process: how a set is drained, and how everything stops. The story is told here once.

One budget is passed down. Pollers stop receiving and settle, while handlers finish what they run; what still runs near
the end is killed, reaped and released by its poller; heartbeats stop last, with the poller. `retire` starts it, `step`
takes it further after every event, and it cannot be undone: a second word can only bring its end nearer.
"""

from __future__ import annotations

import os

from worker.protocol import ControlFrame
from worker.supervisor.ending import dismiss, kill
from worker.supervisor.filling import SUCCESSOR_NEEDS, poller_wanted
from worker.supervisor.pool import Pool, Stop
from worker.supervisor.tree import Budget, Child, Phase, QueueSet, SetState

#: Of the budget, what killed handlers leave to their pollers for releases and deletes: a share, and seconds at least.
RESERVE_SHARE, RESERVE_LEAST = 0.15, 1.0
#: Seconds between the pollers' deadline and our exit: one poller that overruns it must not make us overrun ours.
LAST_WORDS = 0.5
#: Seconds before our exit at which whatever is left is killed, so that it is reaped in time.
LAST_KILL = 0.25
#: Seconds that a poller which has never polled gets to finish its boot and say that it holds nothing.
BOOTING = 3.0
#: Seconds between looks at handlers that may start something after the moment at which what runs is killed.
LOOK_AGAIN = 0.1


def budget(now: float, seconds: float) -> Budget:
    """The times of a drain that starts now and may take `seconds`."""
    deadline = max(now, now + seconds - LAST_WORDS)
    kill_at = max(now, deadline - max(RESERVE_LEAST, RESERVE_SHARE * seconds))
    return Budget(kill_at=kill_at, deadline=deadline, exit_by=now + seconds)


def begin(pool: Pool, *, now: float, reason: str, code: int = os.EX_OK) -> None:
    """Stop everything; nothing happens if that has begun. `code` is the exit code if nothing stays unconfirmed."""
    if pool.stop:
        return
    times = budget(now, pool.settings.drain_timeout)
    if pool.reload:
        pool.log.error("reload_aborted", reason=f"a drain wins: {reason}")
    pool.stop, pool.reload = Stop(now, times, code), None
    pool.log.info("drain_started", reason=reason, seconds=pool.settings.drain_timeout)
    for queue_set in pool.sets:
        retire(queue_set, times)


def hurry(pool: Pool, *, now: float) -> None:
    """Do not wait for what runs: kill it now, and leave the rest of the budget to the pollers."""
    if pool.stop and not pool.stop.hurried:
        pool.stop.hurried = True
        pool.log.warning("drain_hurried")
        for queue_set in pool.sets:
            retire(queue_set, Budget(now, pool.stop.budget.deadline, pool.stop.budget.exit_by))


def retire(queue_set: QueueSet, times: Budget) -> None:
    """Drain one set. Of several budgets the earliest times count."""
    had = queue_set.budget or times
    queue_set.budget = Budget(
        kill_at=min(had.kill_at, times.kill_at),
        deadline=min(had.deadline, times.deadline),
        exit_by=min(had.exit_by, times.exit_by),
    )
    if queue_set.state is not SetState.GAVE_UP:
        queue_set.state = SetState.DRAINING


def step(pool: Pool, queue_set: QueueSet, now: float) -> float:
    """Take the drain of a set one step further; returns when to look again, at the latest."""
    times = queue_set.budget
    if times is None:
        return float("inf")
    for poller in queue_set.pollers.values():
        if poller.deadline_told != times.deadline:
            poller.deadline_told = times.deadline
            pool.outside.send(poller, ControlFrame.DRAIN, {"deadline": times.deadline})
            if not poller.ready_at and poller.number not in queue_set.polled:
                # It reads the frame as soon as it has booted, which may be never if AWS cannot be reached.
                poller.caused, poller.expected_dead = True, now + BOOTING
    if queue_set.template and queue_set.template.phase is not Phase.STOPPING:
        dismiss(pool, queue_set.template, now=now)  # a drain starts no handler
    for handler in list(queue_set.handlers.values()):
        if handler.phase in (Phase.STARTING, Phase.SPARE) or _emptied(queue_set, handler, now):
            dismiss(pool, handler, now=now)
        if now >= times.deadline or (now >= times.kill_at and pool.outside.running(handler)):
            if queue_set.queue.on_stop and handler.phase is Phase.STOPPING and handler.killed_at > now:
                pool.log.warning("child_lingered", **handler.fields(), reason="its on_stop outlasted the drain")
            kill(pool, handler, now=now, caused=True)
    if now >= times.exit_by - LAST_KILL:
        for child in queue_set.children():
            kill(pool, child, now=now, caused=True)
    # A handler may take one more message from its stream just when we look.
    looks = (now + LOOK_AGAIN,) if queue_set.handlers and times.kill_at <= now else ()
    last_start = times.deadline - SUCCESSOR_NEEDS
    moments = (last_start, times.kill_at, times.deadline, times.exit_by - LAST_KILL, times.exit_by, *looks)
    return min((at for at in moments if at > now), default=now + LOOK_AGAIN)


def finish(pool: Pool, now: float) -> None:
    """Let go of the sets that are drained; when all are, or the budget is spent, the supervisor may exit."""
    for queue_set in [s for s in pool.sets if _drained(s, now)]:
        for bequest in queue_set.bequests:
            pool.outside.bury(bequest.child)
        queue_set.bequests = []
        if queue_set.state is SetState.DRAINING:
            _let_go(pool, queue_set)
    stop = pool.stop
    if stop is None:
        return
    left = pool.children()
    if all(_drained(queue_set, now) for queue_set in pool.sets) or now >= stop.budget.exit_by:
        unconfirmed = stop.unconfirmed + sum(map(_unconfirmed, pool.sets))
        pool.exit_code = stop.code or (os.EX_TEMPFAIL if unconfirmed or left else os.EX_OK)
        say = pool.log.warning if pool.exit_code else pool.log.info
        took = round(now - stop.started_at, 2)
        say("drain_finished", code=pool.exit_code, unconfirmed=unconfirmed, left=len(left), seconds=took)


def _emptied(queue_set: QueueSet, handler: Child, now: float) -> bool:
    """Whether a handler in its place holds nothing any more, because its poller has settled it or will never come."""
    if handler.phase is Phase.STOPPING:
        return False
    number = queue_set.poller_number(handler)
    if number in queue_set.unconfirmed:
        return True
    return number not in queue_set.pollers and not poller_wanted(queue_set, number, now)


def _drained(queue_set: QueueSet, now: float) -> bool:
    """Whether a set that drains has no process left, and no poller to come."""
    if queue_set.budget is None or queue_set.children():
        return False
    return not any(poller_wanted(queue_set, number, now) for number in range(queue_set.queue.pollers))


def _let_go(pool: Pool, queue_set: QueueSet) -> None:
    pool.sets.remove(queue_set)
    pool.outside.dissolve(queue_set)
    unconfirmed = _unconfirmed(queue_set)
    if pool.stop:
        pool.stop.unconfirmed += unconfirmed
    say = pool.log.warning if unconfirmed else pool.log.info
    say("set_drained", queue=queue_set.queue.name, generation=queue_set.generation, unconfirmed=unconfirmed)


def _unconfirmed(queue_set: QueueSet) -> int:
    """Settlements that nobody confirmed. A poller that died without a word leaves at least one to doubt."""
    return sum(queue_set.unconfirmed.get(number, 1) for number in queue_set.polled)
