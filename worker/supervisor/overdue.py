"""Supervisor process: the ladder against a handler that is past a message's deadline.

The poller judges, because it knows what it gave; the supervisor acts, because it can kill and reap. First an exception
that user code can catch, then a dump of all stacks that works even while C code holds the GIL, then the kill. Before
each rung the handler's own slot is asked: who has finished meanwhile, or moved the deadline, is left alone.
"""

from __future__ import annotations

import signal

from worker.supervisor.ending import kill
from worker.supervisor.pool import Pool
from worker.supervisor.tree import Child, Ladder, Phase

#: Seconds that user code has to end after the exception.
SOFT = 1.0
#: Seconds that the dump of the stacks has.
DUMP = 0.2


def begin(pool: Pool, handler: Child, seq: int, *, lease: bool = False, now: float) -> None:
    """A poller says that `handler` is past its deadline with message `seq`, or near the end of its `lease`."""
    if handler.phase not in (Phase.SERVING, Phase.LEAVING) or handler.overdue:
        return
    running = {entry.seq for entry in pool.outside.running(handler)}
    ladder = handler.ladder
    # A ladder may wait for a message that was given more time; another one, or its successor, must not wait with it.
    waits = ladder and (ladder.seq == seq or (ladder.seq in running and not (ladder.rung == 0 and ladder.due > now)))
    if waits and not lease:
        return
    done = pool.outside.handler_facts(handler).done
    handler.ladder = Ladder(seq=seq, was_running=seq in running, done=done, due=now, lease=lease)
    pool.log.warning("child_overdue", **handler.fields(), seq=seq, started=seq in running)


def step(pool: Pool, *, now: float) -> float:
    """Climb every ladder whose next rung is due; returns when the next one is."""
    due = float("inf")
    for handler in pool.children():
        if handler.ladder and handler.ladder.due <= now:
            _climb(pool, handler, handler.ladder, now=now)
        if handler.ladder:
            due = min(due, handler.ladder.due)
    return due


def _climb(pool: Pool, handler: Child, ladder: Ladder, *, now: float) -> None:
    if _recovered(pool, handler, ladder, now=now):
        return
    if ladder.rung == 0:
        # Python code gets worker.SoftTimeout from its signal handler; C code that holds the GIL sees nothing.
        pool.outside.signal(handler, signal.SIGUSR1)
        ladder.rung, ladder.due = 1, now + SOFT
    elif ladder.rung == 1:
        pool.outside.stacks(handler)
        pool.outside.signal(handler, signal.SIGUSR2)
        ladder.rung, ladder.due = 2, now + DUMP
    else:
        handler.ladder, handler.overdue = None, True
        kill(pool, handler, now=now)


def _recovered(pool: Pool, handler: Child, ladder: Ladder, *, now: float) -> bool:
    """Whether the ladder is over, or begins anew later because `message.extend` moved the deadline."""
    running = {entry.seq: entry for entry in pool.outside.running(handler)}
    entry = running.pop(ladder.seq, None)
    done = pool.outside.handler_facts(handler).done
    if entry is None:
        # A message that had not even started when its time was up has no entry; only progress clears the handler then.
        if not ladder.was_running and done == ladder.done:
            return False
        handler.ladder = None
    elif entry.deadline > now and not ladder.lease:
        ladder.rung, ladder.due, ladder.was_running = 0, entry.deadline, True
    else:
        return False
    # The poller tells of one message at a time, and once; what became late beside it is next.
    late = min((one.seq for one in running.values() if one.deadline <= now), default=None)
    if late is not None:
        handler.ladder = Ladder(seq=late, was_running=True, done=done, due=now)
    return True
