"""Benchmark process: one measurement over a window of work: CPU, rate, calls and memory of a contender at load."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import tree
from benchmarks.contender import WORKER, Contender, Job, Running, running
from benchmarks.endpoints import Endpoint, wait_for_depth
from benchmarks.rows import Case
from worker.policy.price import dollars_per_million

#: Seconds in which a contender must have handled its first messages.
_START = 40.0
#: Share of the backlog that is left when a window ends at the latest: an ending queue is no load.
_FLOOR = 0.1
#: Messages that a window has to see, and how many times longer it may take for them.
_ENOUGH, _SLOW = 40, 4
#: Seconds between two looks at the queue.
_LOOK = 0.05


class NoFigure(Exception):
    """A contender could not be measured; `str()` says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What all measurements share."""

    endpoint: Endpoint
    quick: bool = False
    spin: int = 40_000  #: iterations of a millisecond
    pause: float = 0.05  #: seconds of a pause
    contenders: Mapping[str, Contender] = field(default_factory=lambda: {WORKER.name: WORKER})

    @property
    def window(self) -> float:
        """Seconds of a window, at most."""
        return 1.0 if self.quick else 4.0

    @property
    def warm_up(self) -> float:
        """Seconds between the first message and the window."""
        return 0.3 if self.quick else 1.0

    def backlog(self, case: Case) -> int:
        """Messages that a window of this case needs, with its warm-up."""
        contender = self.contenders[case.contender]
        seconds = {"spin": 0.001, "pause": self.pause}.get(case.work, 0.0)
        rate = min(contender.rate, self.endpoint.rate, case.places / seconds if seconds else contender.rate)
        rate *= 1.5  # room for a case that is faster than anybody thought
        most = 8_000 if self.quick else 120_000
        return max(500, min(most, int(rate * (self.window + self.warm_up + 1.0))))

    @contextmanager
    def job(self, case: Case, *, effects: bool = False, visibility: int = 60) -> Iterator[Job]:
        """A queue and a folder of its own for a case; both are gone afterwards."""
        folder = Path(tempfile.mkdtemp(prefix="bench-"))
        url = self.endpoint.create(visibility=visibility)
        environ = self.endpoint.environment() | {
            "BENCH_WORK": case.work,
            "BENCH_SPIN": str(self.spin),
            "BENCH_PAUSE": str(self.pause),
            "BENCH_QUEUE_URL": url,
            "BENCH_HANDLERS": str(case.handlers),
        }
        if effects:
            environ["BENCH_EFFECTS"] = str(folder / "effects")
        handler = "benchmarks.application:work" if effects else ""
        try:
            yield Job(
                folder=folder,
                queue_url=url,
                environ=environ,
                work=case.work,
                handlers=case.handlers,
                settings=case.settings,
                handler=case.settings.get("handler", handler),
            )
        finally:
            self.endpoint.delete(url)
            shutil.rmtree(folder, ignore_errors=True)

    def load(self, case: Case) -> dict[str, float]:
        """Fill a queue, let the contender work, and measure a window of it. Raises NoFigure."""
        contender, count = self.contenders[case.contender], self.backlog(case)
        with self.job(case) as job:
            self.endpoint.fill(job.queue_url, contender.bodies(0, count, case.size, job.environ))
            if self.endpoint.has_latency or case.latency:
                self.endpoint.latency(case.latency)
            with running(contender, job) as started:
                return self.window_of(case, job.queue_url, started=started, count=count)

    def window_of(self, case: Case, url: str, *, started: Running, count: int) -> dict[str, float]:
        """Wait for the first messages, warm up, and measure."""
        if not wait_for_depth(self.endpoint, url, most=count - 10, patience=_START):
            raise NoFigure(f"nothing handled within {_START:g} s: {started.gist()}")
        floor = int(count * _FLOOR)
        self._until(url, time.monotonic() + self.warm_up, floor=int(count * 0.7))
        if self.endpoint.has_latency:
            self.endpoint.latency(case.latency)  # the count of calls begins here
        cpu, server, depth, at = started.cpu(), self.endpoint.cpu(), self.endpoint.depth(url), time.monotonic()
        self._until(url, at + self.window, floor=floor)
        # Who does ten messages a second needs longer for a figure.
        self._until(url, at + _SLOW * self.window, floor=depth - _ENOUGH)
        cpu, server, seconds = started.cpu() - cpu, self.endpoint.cpu() - server, time.monotonic() - at
        done = depth - self.endpoint.depth(url)
        if done <= 0 or started.ended:
            raise NoFigure(f"{done} messages in {seconds:.1f} s, {'it ended' if started.ended else 'it runs'}")
        held = tree.memory_of_all(started.roots)
        figures = {
            "cpu_us": cpu / done * 1e6,
            "rate": done / seconds,
            "cores": cpu / seconds,
            "rss_mb": held.resident,
            "uss_mb": held.own,
        }
        if self.endpoint.has_latency:
            calls = sum(self.endpoint.calls().values()) / done
            figures |= {
                "calls": calls,
                "dollars": dollars_per_million(calls, size=case.size),
                "server_us": server / done * 1e6,
            }
        return figures

    def _until(self, url: str, end: float, *, floor: int) -> None:
        while time.monotonic() < end and self.endpoint.depth(url) > floor:
            time.sleep(_LOOK)
