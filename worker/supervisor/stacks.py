"""Supervisor process: asks children for the stacks of all their threads, and collects them a moment later."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from worker.supervisor.pool import Dump, Pool
from worker.supervisor.tree import Child, Role

#: Seconds until the dumps are read: they are written at C level, at once, unless the machine is very busy.
TAKES = 0.3


def request(pool: Pool, then: Callable[[list[dict[str, Any]]], None], *, now: float) -> None:
    """Signal every child; `then` gets one entry per child, with its text, without anybody waiting."""
    children = [child for child in pool.children() if _listens(pool, child)]
    for child in children:
        pool.outside.stacks(child)
        pool.outside.signal(child, signal.SIGUSR2)
    pool.dumps.append(Dump(now + TAKES, children, then))


def step(pool: Pool, *, now: float) -> float:
    """Read the dumps that are due; returns when the next are."""
    due = [dump for dump in pool.dumps if dump.due <= now]
    pool.dumps = [dump for dump in pool.dumps if dump.due > now]
    living = set(pool.children()) if due else set()
    for dump in due:
        # A stopped or dead process leaves no text, and that is an answer too.
        texts = [(child, pool.outside.stacks(child) if child in living else "") for child in dump.children]
        dump.then([{**child.fields(), "text": text} for child, text in texts])
    return min((dump.due for dump in pool.dumps), default=float("inf"))


def _listens(pool: Pool, child: Child) -> bool:
    """Whether SIGUSR2 would not kill it: a child writes its pid into its slot after it has registered the dump."""
    look = pool.outside.poller_facts if child.role is Role.POLLER else pool.outside.handler_facts
    return look(child).pid != 0
