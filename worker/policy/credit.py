"""Pure rules: how many messages a handler may hold, and how many the ready line should."""

from __future__ import annotations

import math

#: Seconds of work a handler may hold beyond what it runs: enough to hide the way to the poller and back, and no more,
#: since what waits in a handler cannot go to another one that is free.
AHEAD = 0.010
#: Messages a handler may hold at most, beyond its concurrency. With RING it bounds what a successor must learn.
MOST = 256
#: Bytes of bodies unread in a handler; a message of any size for each free place.
BYTES = 128 * 1024
#: Seconds of work in the ready line: hides a receive's round trip, and no more. What waits here is lost to other
#: machines, and costs a receive count if the poller is killed: twelve kills once dead-lettered half a queue.
LINE_AHEAD = 0.25

#: Seconds of work that are not divided between handlers: a frame and a wake-up more would cost as much as it takes.
WHOLE = 0.0005


def credit(service: float | None, *, concurrency: int) -> int:
    """Messages a handler may hold in all; `service` is its mean seconds a message, None before the first.

    A handler that runs one at a time gets nothing ahead of a message that takes AHEAD or longer: it would wait for its
    end. Where several run, a place gets free every `service / concurrency` seconds, and what is ahead takes the next.
    """
    if service is None:
        return concurrency
    if service <= 0:
        return concurrency + MOST
    work = min(MOST, math.ceil(AHEAD * concurrency / service))
    return max(1, work) if concurrency == 1 else concurrency + work


def worth_sending(held: int, credit: int, *, concurrency: int) -> bool:
    """Whether a handler should get more now: fast ones are filled from half, so that frames carry several messages."""
    ahead = credit - concurrency + 1  # beyond all places but one
    return held < concurrency + ahead // 2 if ahead >= 4 else held < credit


def unread_bytes(held_bytes: int, *, held: int, concurrency: int) -> int:
    """Bytes of bodies that a handler has not read yet, by their mean; where one runs at a time that one counts too."""
    return held_bytes if concurrency == 1 else held_bytes * max(0, held - concurrency + 1) // max(1, held)


def share(ready: int, *, links: int, service: float | None) -> int:
    """Messages of `ready` ones for the first of so many handlers that have room: even parts, but none too small."""
    even = math.ceil(ready / links)
    return even if service is None else max(even, min(ready, int(WHOLE / max(service, 1e-6))))


def line_target(services: list[float | None], *, concurrency: int, most: int) -> int:
    """Messages the ready line should hold: LINE_AHEAD of work for all handlers, at least one for each place."""
    known = [service for service in services if service is not None]
    places = len(services) * concurrency
    if len(known) < len(services):
        return min(most, max(10, places))
    rate = sum(concurrency / max(service, 1e-6) for service in known)
    return min(most, max(places, math.ceil(rate * LINE_AHEAD)))
