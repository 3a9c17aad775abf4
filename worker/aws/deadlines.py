"""Poller process: ends calls whose answers take too long. A socket's timeout starts anew with every byte that comes."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from worker import platform
from worker.policy.requests import Request


@dataclass(slots=True, eq=False)
class Call:
    """A request that a thread has sent."""

    request: Request
    token: object
    patience: float  #: seconds that the whole answer may take
    sent_at: float = field(default_factory=platform.now)
    number: int = 0

    @property
    def deadline(self) -> float:
        """When it counts as failed."""
        return self.sent_at + self.patience


class Deadlines:
    """The calls that are on their way. Each ends once: by finish(), or given up at its deadline, in a thread of ours.

    What is given up may still have an effect, and its thread may stay in it for as long as bytes trickle in.
    """

    def __init__(self, give_up: Callable[[Call], None], *, shortest: float) -> None:
        """`shortest` is the least patience of any call."""
        self._give_up = give_up
        self._shortest = shortest
        self._open: dict[int, Call] = {}
        self._numbers = itertools.count(1)
        self._watching = False
        self._closed = threading.Event()

    def begin(self, call: Call) -> None:
        """It is about to be sent."""
        call.number = next(self._numbers)
        self._open[call.number] = call
        if not self._watching:
            self._watching = True
            threading.Thread(target=self._watch, name="deadlines", daemon=True).start()

    def finish(self, call: Call) -> bool:
        """It is answered; False if it was given up before, and the answer is nobody's any more."""
        return self._open.pop(call.number, None) is not None  # one step: of two threads one gets it

    def close(self) -> None:
        """End the thread; what is open is not given up any more."""
        self._closed.set()

    def _watch(self) -> None:
        while not self._closed.is_set():
            now = platform.now()
            for call in list(self._open.values()):
                if call.deadline <= now and self.finish(call):
                    self._give_up(call)
            soonest = min((call.deadline for call in list(self._open.values())), default=float("inf"))
            # No call that begins meanwhile can be due before this sleep is over.
            self._closed.wait(max(0.0, min(soonest - platform.now(), self._shortest)))
