"""Supervisor process: what it shows of the pool. The shape is the answer to `worker status`."""

from __future__ import annotations

from collections import Counter
from typing import Any

from worker import __version__
from worker.slots import ChildState
from worker.supervisor.pool import Pool
from worker.supervisor.tree import Child, Phase, QueueSet, Role, SetState
from worker.telemetry import COUNTERS

#: Which state of several sets of one queue stands for the queue: the new one replaces, the old one drains.
_ORDER = (SetState.RUNNING, SetState.STARTING, SetState.GAVE_UP, SetState.DRAINING)


def status(pool: Pool, *, now: float) -> dict[str, Any]:
    """The whole pool, with every living process; times are ages in seconds."""
    names = dict.fromkeys(queue_set.queue.name for queue_set in pool.sets)
    return {
        "name": pool.settings.name,
        "pid": pool.pid,
        "state": pool.state(),
        "since": round(now - pool.state_since, 3),
        "uptime": round(now - pool.started_at, 3),
        "version": __version__,
        "until_empty": pool.settings.until_empty,
        "queues": {name: _queue(pool, name, now) for name in names},
    }


def counters(pool: Pool, queue: str) -> dict[str, int]:
    """The counters of a queue: what dead pollers counted, and what living ones say."""
    total = Counter(pool.totals.get(queue, Counter()))
    for queue_set in pool.sets:
        if queue_set.queue.name == queue:
            for poller in queue_set.pollers.values():
                total.update(pool.outside.poller_facts(poller).counters)
    return {name: total[name] for name in COUNTERS}


def _queue(pool: Pool, name: str, now: float) -> dict[str, Any]:
    sets = [queue_set for queue_set in pool.sets if queue_set.queue.name == name]
    shown = min(sets, key=lambda queue_set: _ORDER.index(queue_set.state))
    return {
        "state": shown.state,
        "reason": shown.reason,
        "handlers_wanted": shown.wanted,
        "counters": counters(pool, name),
        "pollers": [_poller(pool, p, now) for s in sets for _, p in sorted(s.pollers.items())],
        "handlers": [_handler(pool, h, now) for s in sets for h in _by_number(s)],
        "templates": [_template(pool, s.template) for s in sets if s.template],
    }


def _by_number(queue_set: QueueSet) -> list[Child]:
    return sorted(queue_set.handlers.values(), key=lambda handler: (handler.number, handler.uid))


def _poller(pool: Pool, poller: Child, now: float) -> dict[str, Any]:
    facts = pool.outside.poller_facts(poller)
    state = "starting" if poller.phase is Phase.STARTING else "paused" if pool.paused else "running"
    return {
        "number": poller.number,
        "pid": poller.pid,
        "epoch": poller.epoch,
        "generation": poller.queue_set.generation,
        "state": "draining" if poller.queue_set.budget else state,
        "progress_age": round(now - max(facts.progress, poller.started_at), 3),
        "receive_age": round(now - max(facts.received_at, poller.started_at), 3),
        "trouble": facts.trouble,
        "trouble_age": round(now - facts.trouble_since, 3) if facts.trouble else 0.0,
        "awaits": facts.awaits,
        "limit": facts.limit,
        "per_second": round(facts.per_second, 1),
        "cpu": round(facts.cpu, 3),
        "receive_seconds": round(facts.receive_seconds, 6),
        "settle_seconds": round(facts.settle_seconds, 6),
        "restarts": poller.queue_set.replaced[Role.POLLER, poller.number],
    }


def _template(pool: Pool, template: Child) -> dict[str, Any]:
    starting = template.phase is Phase.STARTING
    return {
        "pid": template.pid,
        "generation": template.queue_set.generation,
        "state": "draining" if template.queue_set.budget else "starting" if starting else "ready",
        "resident_bytes": pool.outside.handler_facts(template).resident,
        "restarts": template.queue_set.replaced[Role.TEMPLATE, 0],
    }


def _handler(pool: Pool, handler: Child, now: float) -> dict[str, Any]:
    facts, running = pool.outside.handler_facts(handler), pool.outside.running(handler)
    state: str = handler.phase
    if handler.phase in (Phase.LEAVING, Phase.STOPPING) or handler.queue_set.budget:
        state = ChildState.DRAINING.name.lower()
    elif handler.phase is Phase.SERVING:
        state = (ChildState.BUSY if running else ChildState.READY).name.lower()
    return {
        "number": handler.number,
        "uid": handler.uid,
        "pid": handler.pid,
        "generation": handler.queue_set.generation,
        "state": state,
        "done": facts.done,
        "failed": facts.failed,
        "places": handler.queue_set.queue.places,
        "busy_seconds": round(facts.busy, 3),
        "resident_bytes": facts.resident,
        "running": [{"seq": entry.seq, "seconds": round(now - entry.started, 3)} for entry in running],
        "restarts": handler.queue_set.replaced[Role.HANDLER, handler.number],
    }
