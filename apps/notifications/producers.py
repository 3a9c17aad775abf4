"""Producer process: the producers of the service: one for each queue, made when it is first needed, and then kept."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TypedDict

from worker import AsyncProducer, Producer

#: Seconds for which a message that does not get through is tried again: somebody waits for the answer.
_TIMEOUT = 20.0


@dataclass(frozen=True, slots=True)
class Target:
    """A queue, and how SQS is reached."""

    queue: str  #: its URL
    endpoint: str | None  #: None, as below: as boto3 finds it
    region: str | None
    insecure: bool  #: the operator allows plain http to other machines


@dataclass(frozen=True, slots=True)
class Producers:
    """By what they send to, so that a changed environment gets others. Threads share it without a lock.

    Two threads that come first at the same time make two: one is not kept, and sends no second message.
    """

    _plain: dict[Target, Producer] = field(default_factory=dict)
    _of_loops: dict[tuple[Target, asyncio.AbstractEventLoop], AsyncProducer] = field(default_factory=dict)

    def plain(self, target: Target) -> Producer:
        """For threads."""
        found = self._plain.get(target)
        return found or self._plain.setdefault(target, Producer(target.queue, **_settings(target)))

    def of_loop(self, target: Target) -> AsyncProducer:
        """For the event loop that runs: an AsyncProducer is of one at a time, and goes on to the next after its end."""
        loop = asyncio.get_running_loop()
        found = self._of_loops.get((target, loop)) or self._left_behind(target)
        found = found or AsyncProducer(target.queue, **_settings(target))
        return self._of_loops.setdefault((target, loop), found)

    def _left_behind(self, target: Target) -> AsyncProducer | None:
        """The producer of a loop that is closed."""
        for key in list(self._of_loops):
            if key[0] == target and key[1].is_closed():
                left = self._of_loops.pop(key, None)
                if left is not None:
                    return left
        return None


class _Settings(TypedDict):
    """What both kinds of producers are made with."""

    timeout: float
    endpoint_url: str | None
    region: str | None
    allow_insecure_endpoint: bool


def _settings(target: Target) -> _Settings:
    return {
        "timeout": _TIMEOUT,
        "endpoint_url": target.endpoint,
        "region": target.region,
        "allow_insecure_endpoint": target.insecure,
    }
