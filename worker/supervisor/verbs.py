"""Supervisor process: what can be asked of it on the control socket, and the answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from worker.supervisor import reloading, scaling, stacks, stopping
from worker.supervisor.pool import Pool
from worker.supervisor.status import status

Answer = dict[str, Any]
Reply = Callable[[Answer], None]


def ask(pool: Pool, line: bytes, reply: Reply, *, now: float) -> None:
    """Answer one request, at once or, for stacks, when they are written. A bad request is told what a good one is."""
    try:
        request = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        reply(refused(f'not JSON ({error}); a request is one line such as {{"verb":"status"}}'))
        return
    verb = request.get("verb") if isinstance(request, dict) else None
    act = _VERBS.get(verb) if isinstance(verb, str) else None
    if act is None:
        reply(refused(f"no verb {verb!r}; there are: {', '.join(_VERBS)}"))
        return
    act(pool, request, reply, now)


def refused(error: str) -> Answer:
    """The answer to what was not done, and what to do instead."""
    return {"ok": False, "error": error}


def _status(pool: Pool, _: Answer, reply: Reply, now: float) -> None:
    reply({"ok": True, **status(pool, now=now)})


def _scale(pool: Pool, request: Answer, reply: Reply, now: float) -> None:
    queue, handlers = request.get("queue"), request.get("handlers")
    if not isinstance(queue, str) or not isinstance(handlers, int) or isinstance(handlers, bool):
        reply(refused('scale needs "queue", a table name, and "handlers", a whole number'))
        return
    _answer(reply, scaling.scale(pool, queue, handlers=handlers, now=now), queue=queue, handlers=handlers)


def _drain(pool: Pool, _: Answer, reply: Reply, now: float) -> None:
    stopping.begin(pool, now=now, reason="asked on the control socket")
    _answer(reply, "", state=pool.state())


def _reload(pool: Pool, _: Answer, reply: Reply, now: float) -> None:
    _answer(reply, reloading.request(pool, now=now), state=pool.state())


def _stacks(pool: Pool, _: Answer, reply: Reply, now: float) -> None:
    stacks.request(pool, lambda texts: reply({"ok": True, "stacks": texts}), now=now)


def _pause(pool: Pool, _: Answer, reply: Reply, __: float) -> None:
    _answer(reply, scaling.pause(pool), state=pool.state())


def _resume(pool: Pool, _: Answer, reply: Reply, now: float) -> None:
    _answer(reply, scaling.resume(pool, now=now), state=pool.state())


def _answer(reply: Reply, problem: str, **fields: Any) -> None:
    reply(refused(problem) if problem else {"ok": True, **fields})


_VERBS: dict[str, Callable[[Pool, Answer, Reply, float], None]] = {
    "status": _status,
    "scale": _scale,
    "drain": _drain,
    "reload": _reload,
    "stacks": _stacks,
    "pause": _pause,
    "resume": _resume,
}
