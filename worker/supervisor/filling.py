"""Supervisor process: gives a set what it lacks: pollers, a template, handlers in their places, streams, spares.

It compares what should be with what is, after every event, so that any history of deaths leads back to the same tree.
"""

from __future__ import annotations

from worker.protocol import ControlFrame
from worker.supervisor import forking
from worker.supervisor.ending import dismiss
from worker.supervisor.pool import Pool
from worker.supervisor.starting import may_start, start_handler, start_poller, start_template
from worker.supervisor.tree import Bequest, Child, Phase, QueueSet, Role

#: Seconds that what a dead handler left is kept after its poller was told, and for which the poller must have gone on
#: since: one that is killed in the same storm, or stopped, may not have read it, and its successor is told again.
KEPT = 1.0
#: Dead handlers of one set that are remembered for pollers to come; of older ones the lease table alone tells.
MOST_KEPT = 64
#: Seconds before a stream is tried again that the system had no descriptors for.
LINK_AGAIN = 0.5
#: Seconds before the deadline of a drain at which starting a poller's successor stops being worth it: it has to boot,
#: take over, release and confirm.
SUCCESSOR_NEEDS = 2.0


def fill(pool: Pool, queue_set: QueueSet, *, now: float, chance: float) -> float:
    """Start, place and link what is missing; returns when to look again, at the latest."""
    for number in range(queue_set.queue.pollers):
        missing = number not in queue_set.pollers and poller_wanted(queue_set, number, now)
        if missing and may_start(queue_set, Role.POLLER, now):
            start_poller(pool, queue_set, number, now=now, chance=chance)
    if queue_set.budget is None:
        if queue_set.preload and queue_set.template is None and may_start(queue_set, Role.TEMPLATE, now):
            start_template(pool, queue_set, now=now, chance=chance)
        _place(queue_set)
    linked = _link(pool, queue_set)
    told = _hand_over(pool, queue_set, now)
    forks_due = forking.step(pool, queue_set, now=now, chance=chance)
    if queue_set.budget is None:
        _start_handlers(pool, queue_set, now=now, chance=chance)
    due = min(_retry_due(queue_set, now), _forget(pool, queue_set, now), forks_due)
    return due if linked and told else min(due, now + LINK_AGAIN)


def poller_wanted(queue_set: QueueSet, number: int, now: float) -> bool:
    """Whether a poller that is not there has to be. In a drain only a successor: somebody has to settle and release."""
    if queue_set.budget is None:
        return True
    has_time = now < queue_set.budget.deadline - SUCCESSOR_NEEDS
    return number in queue_set.polled and number not in queue_set.unconfirmed and has_time


def _place(queue_set: QueueSet) -> None:
    """Give free places to spares, oldest first. Links follow: promotion is nothing but a first ATTACH."""
    taken = {handler.number for handler in queue_set.in_phase(Phase.SERVING)}
    free = [number for number in range(queue_set.wanted) if number not in taken]
    for spare in queue_set.in_phase(Phase.SPARE):
        if not free:
            return
        number = spare.number if spare.number in free else free[0]
        free.remove(number)
        for other in queue_set.in_phase(Phase.STARTING, Phase.SPARE):
            if other.number == number:
                other.number = spare.number
        spare.number, spare.phase = number, Phase.SERVING


def _link(pool: Pool, queue_set: QueueSet) -> bool:
    """Connect every handler in a place with the living process of its poller; False if that has to be tried again."""
    for handler in queue_set.in_phase(Phase.SERVING, Phase.LEAVING):
        poller = queue_set.poller_of(handler)
        if poller is None or handler.poller is poller:
            continue
        if not _attach(pool, poller, handler):
            return False
        if handler.phase is Phase.LEAVING:
            pool.outside.send(poller, ControlFrame.DETACH, {"handler": handler.uid})
    return True


def _attach(pool: Pool, poller: Child, handler: Child) -> bool:
    number = next(pool.links)
    problem = pool.outside.link(number, poller=poller, handler=handler)
    if problem:
        pool.log.error("link_failed", **handler.fields(), reason=problem)
        return False
    handler.poller = poller
    pool.log.info("handler_attached", **handler.fields(), uid=handler.uid, poller=poller.number, link=number)
    return True


def _hand_over(pool: Pool, queue_set: QueueSet, now: float) -> bool:
    """Tell pollers of dead handlers. A successor that never knew one gets its slot first: it names what it did."""
    for bequest in queue_set.bequests:
        poller = queue_set.poller_of(bequest.child)
        if poller is None or bequest.told is poller:
            continue
        if bequest.child.poller is not poller and not _attach(pool, poller, bequest.child):
            return False
        pool.outside.send(poller, ControlFrame.DIED, bequest.notice)
        bequest.told, bequest.told_at = poller, now
    return True


def _forget(pool: Pool, queue_set: QueueSet, now: float) -> float:
    due = float("inf")
    kept: list[Bequest] = []
    for place, bequest in enumerate(reversed(queue_set.bequests)):
        told = bequest.told
        if place >= MOST_KEPT:
            pool.outside.bury(bequest.child)
        elif told is None or told is not queue_set.poller_of(bequest.child) or not told.ready_at:
            kept.append(bequest)
        elif now < bequest.told_at + KEPT or pool.outside.poller_facts(told).progress < bequest.told_at + KEPT:
            kept.append(bequest)
            due = min(due, max(bequest.told_at, now) + KEPT)
        else:
            pool.outside.bury(bequest.child)
    queue_set.bequests = kept[::-1]
    return due


def _start_handlers(pool: Pool, queue_set: QueueSet, *, now: float, chance: float) -> None:
    counted = queue_set.in_phase(Phase.STARTING, Phase.SPARE, Phase.SERVING)
    missing = queue_set.wanted + queue_set.queue.spares - len(counted)
    while missing > 0 and may_start(queue_set, Role.HANDLER, now) and forking.template_ready(queue_set):
        if not start_handler(pool, queue_set, now=now, chance=chance):
            return
        missing -= 1
    unplaced = queue_set.in_phase(Phase.STARTING, Phase.SPARE)
    for handler in unplaced[len(unplaced) + missing :] if missing < 0 else ():
        dismiss(pool, handler, now=now)


def _retry_due(queue_set: QueueSet, now: float) -> float:
    """When a start that waits for its backoff is due."""
    due = [queue_set.restarts[role].retry_at for role in Role]
    return min((at for at in due if at > now), default=float("inf"))
