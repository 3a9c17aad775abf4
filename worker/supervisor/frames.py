"""Supervisor process: what children say on their control sockets, and what follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from worker.channel import PROTOCOL
from worker.policy.restarts import Restarts
from worker.protocol import ControlFrame
from worker.supervisor import forking, overdue
from worker.supervisor.ending import dismiss, kill
from worker.supervisor.pool import Pool
from worker.supervisor.tree import Child, Phase, Role

#: Seconds that a child may take to end after it said so, or after its control socket ended.
TO_END = 2.0


def heard(pool: Pool, child: Child, *, kind: int, header: Any, now: float) -> None:
    """Act on one frame. User code shares a handler's process, so no frame may hurt: a broken one costs its sender."""
    say = _SAYINGS.get(kind)
    try:
        if say is None:
            raise ValueError(f"a frame of kind {kind}")
        say(pool, child, header, now)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        broken(pool, child, f"{type(error).__name__}: {error}", now=now)


def broken(pool: Pool, child: Child, reason: str, *, now: float) -> None:
    """A child does not speak our language: nothing it says can be trusted, so it is replaced."""
    pool.log.error("child_broken", **child.fields(), reason=reason)
    child.failure = child.failure or f"sent what no {child.role} sends: {reason}"
    kill(pool, child, now=now)


def ended(child: Child, *, now: float) -> None:
    """A control socket ended. Death is what is reaped; but a child that lives on without us can only be killed."""
    child.expected_dead = min(child.expected_dead, now + TO_END)


def _ready(pool: Pool, child: Child, header: Any, now: float) -> None:
    if header["protocol"] != PROTOCOL:
        text = f"it speaks protocol {header['protocol']} and the supervisor {PROTOCOL}: restart the pool"
        raise ValueError(text)
    if child.ready_at:
        return
    queue_set, child.ready_at, child.expected_dead = child.queue_set, now, float("inf")
    queue_set.booted.add(child.role)
    queue_set.restarts[child.role] = Restarts()
    if child.role is Role.POLLER:
        queue_set.polled.add(child.number)
        queue_set.resolved = header.get("resolved") or queue_set.resolved
    if child.phase is Phase.STARTING:
        child.phase = Phase.SPARE if child.role is Role.HANDLER else Phase.SERVING
    pool.log.info("child_ready", **child.fields(), seconds=round(now - child.started_at, 3))


def _attached(pool: Pool, child: Child, header: Any, _: float) -> None:
    pool.outside.attached(int(header["link"]), child)


def _detached(pool: Pool, child: Child, header: Any, now: float) -> None:
    handler = child.queue_set.handlers.get(header["handler"])
    if handler is not None and handler.phase is Phase.LEAVING:
        dismiss(pool, handler, now=now)


def _overdue(pool: Pool, child: Child, header: Any, now: float) -> None:
    handler = child.queue_set.handlers.get(header["handler"])
    if handler is not None:
        overdue.begin(pool, handler, int(header["seq"]), lease=bool(header.get("lease")), now=now)


def _drained(_: Pool, child: Child, header: Any, now: float) -> None:
    if child.role is not Role.POLLER:
        raise ValueError("only a poller drains")
    child.queue_set.unconfirmed[child.number] = int(header["unconfirmed"])
    child.phase, child.caused, child.expected_dead = Phase.STOPPING, True, now + TO_END


def _failed(_: Pool, child: Child, header: Any, now: float) -> None:
    child.failure, child.refused = str(header["reason"]), True
    child.expected_dead = min(child.expected_dead, now + TO_END)


def _forked(pool: Pool, child: Child, header: Any, now: float) -> None:
    forking.forked(pool, child, header, now)


def _not_forked(_: Pool, child: Child, header: Any, __: float) -> None:
    forking.not_forked(child, header)


_SAYINGS: dict[int, Callable[[Pool, Child, Any, float], None]] = {
    ControlFrame.READY: _ready,
    ControlFrame.ATTACHED: _attached,
    ControlFrame.DETACHED: _detached,
    ControlFrame.OVERDUE: _overdue,
    ControlFrame.DRAINED: _drained,
    ControlFrame.FAILED: _failed,
    ControlFrame.FORKED: _forked,
    ControlFrame.NOT_FORKED: _not_forked,
}
