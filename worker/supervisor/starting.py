"""Supervisor process: starts children, and tells each of them who it is."""

from __future__ import annotations

from typing import Any

from worker import platform, settings
from worker.channel import PROTOCOL
from worker.policy import restarts
from worker.protocol import ControlFrame
from worker.settings import QueueSettings, Settings
from worker.supervisor.pool import Pool
from worker.supervisor.tree import Child, Phase, QueueSet, Role


def new_set(pool: Pool, config: Settings, queue: QueueSettings, *, generation: int, now: float) -> QueueSet:
    """A set without processes; the next turn starts them."""
    queue_set = QueueSet(
        uid=next(pool.uids),
        queue=queue,
        settings=config,
        generation=generation,
        started_at=now,
        # A poller without a handler would receive for nobody.
        wanted=max(queue.handlers, queue.pollers),
        preload=queue.preload and platform.LINUX,
    )
    if queue.preload and not platform.LINUX:
        # No fault: the same file serves a laptop and the servers, and handlers do the same, only slower to start.
        pool.log.warning("preload_unavailable", queue=queue.name, reason="handlers can be forked on Linux only")
    pool.sets.append(queue_set)
    return queue_set


def may_start(queue_set: QueueSet, role: Role, now: float) -> bool:
    """Whether the last failures of this kind of child leave room for a start now."""
    return now >= queue_set.restarts[role].retry_at


def start_poller(pool: Pool, queue_set: QueueSet, number: int, *, now: float, chance: float) -> None:
    """Start a poller; its handlers and what the dead ones left are linked by the same turn."""
    child = Child(
        uid=next(pool.uids),
        role=Role.POLLER,
        queue_set=queue_set,
        number=number,
        epoch=next(pool.epochs),
        started_at=now,
    )
    linked = queue_set.in_phase(Phase.SERVING, Phase.LEAVING) + [bequest.child for bequest in queue_set.bequests]
    setup: dict[str, Any] = {
        "epoch": child.epoch,
        "handlers_expected": [handler.uid for handler in linked if queue_set.poller_number(handler) == number],
    }
    if queue_set.resolved is not None:
        # Asking AWS again costs a successor half of the second in which it has to be polling.
        setup["resolved"] = queue_set.resolved
    if _start(pool, child, setup, now=now, chance=chance):
        queue_set.pollers[number] = child
        if pool.paused:
            pool.outside.send(child, ControlFrame.PAUSE)


def start_template(pool: Pool, queue_set: QueueSet, *, now: float, chance: float) -> None:
    """Start a template: it imports the application, and can fork handlers when it is READY."""
    child = Child(uid=next(pool.uids), role=Role.TEMPLATE, queue_set=queue_set, number=0, started_at=now)
    if _start(pool, child, {"uid": child.uid, "concurrency": queue_set.queue.places}, now=now, chance=chance):
        queue_set.template = child


def start_handler(pool: Pool, queue_set: QueueSet, *, now: float, chance: float) -> bool:
    """Start a handler: a spare until it is READY and a place is free. False if the system has none to give."""
    used = {handler.number for handler in queue_set.in_phase(Phase.STARTING, Phase.SPARE, Phase.SERVING)}
    number = next(number for number in range(len(used) + 1) if number not in used)
    child = Child(uid=next(pool.uids), role=Role.HANDLER, queue_set=queue_set, number=number, started_at=now)
    if not _start(pool, child, {"uid": child.uid, "concurrency": queue_set.queue.places}, now=now, chance=chance):
        return False
    queue_set.handlers[child.uid] = child
    return True


def _start(pool: Pool, child: Child, setup: dict[str, Any], *, now: float, chance: float) -> bool:
    queue_set = child.queue_set
    setup |= {
        "settings": settings.to_json(queue_set.settings),
        "queue": queue_set.queue.name,
        "number": child.number,
        "parent": pool.pid,
        "protocol": PROTOCOL,
    }
    template = queue_set.template if child.role is Role.HANDLER else None
    if template is None:
        problem = pool.outside.spawn(child, setup)
    else:
        problem = pool.outside.fork(child, setup, template=template)
    if problem:
        history = restarts.not_started(queue_set.restarts[child.role], now=now, chance=chance)
        queue_set.restarts[child.role] = history
        pool.log.error("spawn_failed", **child.fields(), reason=problem, retry_in=round(history.retry_at - now, 2))
        return False
    pool.log.debug("child_started", **child.fields(), uid=child.uid, generation=queue_set.generation)
    return True
