"""Pure rules: `worker tune`: which settings to try next, which are best, and what holds a pool back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

#: Shares of the rate: what more processes have to bring to be worth it, and what fewer may cost. Both are above the
#: noise of two windows of some seconds on a quiet machine.
GAIN, PRICE = 0.05, 0.02
#: From this share of its time on a handler, a poller or a core counts as the limit.
BUSY = 0.85

#: One setting for each key.
Candidate = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Dimension:
    """A key and the values that it may take, the cheapest first."""

    key: str
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a pool with these settings did in a window of time. Shares are None where nothing tells them."""

    settings: Candidate
    rate: float  #: messages a second
    calls: float  #: requests to SQS per message
    size: float  #: mean bytes of a body
    handlers_busy: float  #: share of the handlers' time in which they ran user code
    poller_busy: float | None = None  #: share of a core that the busiest poller used
    cores_busy: float | None = None  #: share of the machine's cores that anybody used
    cpu_us: float | None = None  #: CPU microseconds of the whole tree per message
    named: str = ""  #: what the pollers themselves say holds them back
    failed: float = 0.0  #: share of messages that were retried or rejected


class Search:
    """One key after the other, step by step while that helps; then all keys once more, until nothing changes.

    It starts at the user's own settings. A dearer value must bring `GAIN`; a cheaper one may cost `PRICE`. No settings
    are tried twice. `allowed` says whether settings make a valid config.
    """

    def __init__(
        self, dimensions: Sequence[Dimension], start: Candidate, *, allowed: Callable[[Candidate], bool]
    ) -> None:
        self._dimensions = [Dimension(one.key, _with(one.values, start[one.key])) for one in dimensions]
        self._allowed = allowed
        self._place, self._step = 0, 1
        self._changed = False
        self._waiting: Candidate = dict(start)
        self._scores: dict[tuple[tuple[str, int], ...], float] = {}
        self.best: Candidate = dict(start)
        self.done = False

    def next(self) -> Candidate | None:
        """The settings to try now; None when there is nothing left to try."""
        return None if self.done else self._waiting

    def tell(self, rate: float) -> None:
        """Those settings did so many messages a second."""
        self._scores[_key(self._waiting)] = rate
        while not self.done:
            self._judge(self._scores[_key(self._waiting)])
            if _key(self._waiting) not in self._scores:
                return

    def _judge(self, rate: float) -> None:
        """Take or leave the settings that wait, and choose the next ones."""
        if _key(self._waiting) != _key(self.best):
            wanted = 1 + GAIN if self._step > 0 else 1 - PRICE
            if rate >= self._scores[_key(self.best)] * wanted:
                self.best, self._changed = self._waiting, True
            elif not self._turn():
                return
        while (neighbour := self._neighbour()) is None:
            if not self._turn():
                return
        self._waiting = neighbour

    def _neighbour(self) -> Candidate | None:
        """The best settings with the current key one step further; None at the end, or where no config allows it."""
        dimension = self._dimensions[self._place]
        place = dimension.values.index(self.best[dimension.key]) + self._step
        if not 0 <= place < len(dimension.values):
            return None
        found = {**self.best, dimension.key: dimension.values[place]}
        return found if self._allowed(found) else None

    def _turn(self) -> bool:
        """Look the other way, then at the next key, then at all once more; False when that is over."""
        if self._step > 0:
            self._step = -1
            return True
        self._step, self._place = 1, self._place + 1
        if self._place == len(self._dimensions):
            self.done = not self._changed
            self._place, self._changed = 0, False
        return not self.done


def limit(trial: Trial, *, cores: int) -> str:
    """What holds a pool back, in a sentence, as far as the trial tells."""
    return _limit(trial, cores=cores) + (f" (the pollers say: {trial.named})" if trial.named else "")


def _limit(trial: Trial, *, cores: int) -> str:
    if trial.poller_busy is not None and trial.poller_busy >= BUSY:
        return f"poller CPU: a poller uses {trial.poller_busy:.0%} of a core; more pollers would share it"
    if trial.cores_busy is not None and trial.cores_busy >= BUSY:
        return (
            f"CPU: {trial.cores_busy:.0%} of {cores} cores are busy; a faster handler function or more cores would help"
        )
    if trial.handlers_busy >= BUSY:
        return f"handlers: each is busy {trial.handlers_busy:.0%} of the time, and the cores are not"
    return "round trips to SQS: handlers, pollers and cores have time left; more receives at a time would help"


def backlog(rate: float, *, seconds: float, least: int, most: int) -> int:
    """Messages that a window of so many seconds needs, with room for a rate that turns out twice as high."""
    return max(least, min(most, int(2 * rate * seconds)))


def _with(values: tuple[int, ...], value: int) -> tuple[int, ...]:
    """The values with this one, in their order, whichever way that runs."""
    falling = len(values) > 1 and values[0] > values[-1]
    return tuple(sorted({*values, value}, reverse=falling))


def _key(candidate: Candidate) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(candidate.items()))
