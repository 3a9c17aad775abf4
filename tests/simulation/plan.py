"""Test process: the shape of a world, as a seed draws it."""

from __future__ import annotations

import random
from dataclasses import dataclass

from worker.settings import QueueSettings, RetrySettings, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a seed draws first."""

    fifo: bool
    machines: int
    handlers: int
    groups: int
    messages: int
    seconds: float  #: in which messages are sent
    wait: float
    visibility: float
    retry: RetrySettings
    handler_timeout: float  #: above what a handler function takes, 30 s

    def settings(self, url: str) -> Settings:
        """The settings of each of its pools."""
        queue = QueueSettings(
            name="work",
            handler="app:handle",
            url=url,
            handlers=self.handlers,
            wait=self.wait,
            visibility_timeout=self.visibility,
            handler_timeout=self.handler_timeout,
            retry=self.retry,
            polls=3,
        )
        return Settings(name="simulated", queues=(queue,), drain_timeout=self.wait + 12.0)


def draw(chance: random.Random, *, fifo: bool) -> Plan:
    """The shape of a world."""
    wait = float(chance.choice((1, 2, 3)))
    return Plan(
        fifo=fifo,
        machines=1 if fifo else chance.choice((1, 2)),
        handlers=chance.choice((1, 2, 3, 4)) if fifo else chance.choice((1, 2, 3)),
        groups=chance.choice((1, 2, 4)),
        messages=chance.randint(15, 30),
        seconds=chance.choice((2.0, 20.0, 40.0)),
        wait=wait,
        # At least 1.5 x (wait + 5 s), as the config demands.
        visibility=float(chance.choice((9, 12, 20)) + 2 * (wait - 1)),
        retry=RetrySettings(first=0.5, most=4.0, attempts=chance.choice((0, 4))),
        handler_timeout=45.0,
    )
