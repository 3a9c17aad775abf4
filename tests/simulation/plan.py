"""Test process: the shape of a world, as a seed draws it."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.simulation.application import MIXES
from worker.settings import QueueSettings, RecycleSettings, RetrySettings, Settings

#: Of three worlds one is ordinary.
MIXTURE = (*MIXES, "ordinary")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a seed draws first."""

    fifo: bool
    machines: int
    handlers: int
    pollers: int
    groups: int
    messages: int
    seconds: float  #: in which messages are sent
    wait: float
    visibility: float
    retry: RetrySettings
    handler_timeout: float  #: above what a handler function takes, 30 s
    mix: str  #: of messages, by name
    dead_letters: bool  #: whether rejects have somewhere to go
    boots: float  #: how many times longer than at best processes take to boot
    recycle: int  #: messages after which a handler is replaced; 0: never

    def settings(self, url: str) -> Settings:
        """The settings of each of its pools."""
        queue = QueueSettings(
            name="work",
            handler="app:handle",
            url=url,
            handlers=self.handlers,
            pollers=self.pollers,
            wait=self.wait,
            visibility_timeout=self.visibility,
            handler_timeout=self.handler_timeout,
            retry=self.retry,
            recycle=RecycleSettings(max_messages=self.recycle),
            polls=3,
        )
        return Settings(name="simulated", queues=(queue,), drain_timeout=self.wait + 12.0)


def draw(chance: random.Random, *, fifo: bool, mix: str = "") -> Plan:
    """The shape of a world; `mix` names the sort of its messages, if that is not to be drawn."""
    wait = float(chance.choice((1, 2, 3)))
    return Plan(
        fifo=fifo,
        machines=1 if fifo else chance.choice((1, 2)),
        handlers=chance.choice((1, 2, 3, 4)) if fifo else chance.choice((1, 2, 3)),
        pollers=1 if fifo else chance.choice((1, 1, 2)),
        groups=chance.choice((1, 2, 4)),
        messages=chance.randint(15, 30),
        seconds=chance.choice((2.0, 20.0, 40.0)),
        wait=wait,
        # At least 1.5 x (wait + 5 s), as the config demands.
        visibility=float(chance.choice((9, 12, 20)) + 2 * (wait - 1)),
        retry=RetrySettings(first=0.5, most=4.0, attempts=chance.choice((0, 4))),
        handler_timeout=45.0,
        mix=chance.choice((mix,) if mix else MIXTURE),
        dead_letters=chance.random() < 0.9,
        boots=chance.choice((1.0, 1.0, 1.0, 6.0)),
        recycle=chance.choice((0, 0, 0, 3)),
    )
