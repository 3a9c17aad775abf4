"""Supervisor process: handlers that a template forks: asked for, named, given up. Linux only.

Between the request and the template's answer a handler has no pid: nobody can signal it, and it runs no user code,
since it waits for a SETUP that it gets once its pid is known. If the template dies first, the handler's control socket
ends, and so does the handler.
"""

from __future__ import annotations

from typing import Any

from worker.policy import restarts
from worker.supervisor.ending import kill
from worker.supervisor.pool import Pool
from worker.supervisor.tree import Child, Phase, QueueSet, Role

#: Seconds that a template may take to fork one handler. It takes milliseconds; one that was stopped or hangs in a fork
#: hook of user code would keep the queue without replacements for ever.
PATIENCE = 10.0


def template_ready(queue_set: QueueSet) -> bool:
    """Whether handlers can be had now: those that are exec'd always can."""
    template = queue_set.template
    if template is None:
        return not queue_set.preload
    return template.phase is Phase.SERVING and template.killed_at == float("inf")


def forked(pool: Pool, template: Child, header: Any, now: float) -> None:
    """A template names the process of a handler. Raises ValueError, LookupError if it cannot be true."""
    handler = _asked(template, header)
    if not pool.outside.adopt(handler, int(header["pid"])):
        raise ValueError("it names a process that is no child of the supervisor")
    pool.log.debug("handler_forked", **handler.fields(), uid=handler.uid, seconds=round(now - handler.started_at, 4))
    if handler.killed_at <= now:
        pool.outside.kill(handler)  # it was to go before anybody knew whom to kill


def not_forked(template: Child, header: Any) -> None:
    """A template had no process to give. Raises ValueError, LookupError if nobody asked it."""
    _asked(template, header).failure = str(header["reason"])


def step(pool: Pool, queue_set: QueueSet, *, now: float, chance: float) -> float:
    """Give up what could not be forked, and a template that does not answer; returns when to look again."""
    for handler in [unborn for unborn in queue_set.unborn() if unborn.failure]:
        del queue_set.handlers[handler.uid]
        pool.outside.bury(handler)
        history = restarts.not_started(queue_set.restarts[handler.role], now=now, chance=chance)
        queue_set.restarts[handler.role] = history
        retry_in = round(history.retry_at - now, 2)
        pool.log.error("spawn_failed", **handler.fields(), reason=handler.failure, retry_in=retry_in)
    template, waiting = queue_set.template, queue_set.unborn()
    if template is None or not waiting or template.killed_at <= now:
        return float("inf")
    late = max(waiting[0].started_at, pool.awake_since) + PATIENCE
    if now < late:
        return late
    template.failure = f"it has not forked a handler in {PATIENCE:.0f} s"
    pool.log.error("template_stuck", **template.fields(), reason=template.failure)
    kill(pool, template, now=now)
    return float("inf")


def _asked(template: Child, header: Any) -> Child:
    """The handler that an answer of a template is about."""
    if template.role is not Role.TEMPLATE:
        raise ValueError("only a template forks")
    handler = template.queue_set.handlers[header["uid"]]
    if handler.pid:
        raise ValueError(f"it has answered for handler {handler.uid} before")
    return handler
