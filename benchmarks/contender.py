"""Benchmark process: who is measured: how it is started, and the bodies it understands. Our pool is one of them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import tree
from benchmarks.machine import ROOT
from benchmarks.work import payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a contender is to do."""

    folder: Path  #: of its own; logs go there
    queue_url: str
    environ: Mapping[str, str]  #: leads it to the endpoint and tells the handler function its work
    work: str
    handlers: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    handler: str = ""  #: of our pool: "module:function", if it is not to be chosen by `work`

    @property
    def queue_name(self) -> str:
        """The last part of the URL."""
        return self.queue_url.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A program that takes messages from a queue."""

    name: str
    how: str  #: how it is configured, in a sentence
    commands: Callable[[Job], list[list[str]]]  #: the processes to start
    #: From (first number, count, size, the job's environment): what it can read.
    bodies: Callable[[int, int, int, Mapping[str, str]], Sequence[str]]
    rate: float = 50_000.0  #: messages a second that it will hardly reach: how many a window needs
    at_once: int = 1  #: messages that each of its processes has in hand while they wait
    supervised: bool = True  #: its roots only supervise: a kill storm spares them, as it spares nobody else


def plain_bodies(first: int, count: int, size: int, environ: Mapping[str, str]) -> Sequence[str]:
    """The payload itself."""
    del environ
    return [payload(number, size) for number in range(first, first + count)]


def config(job: Job) -> Path:
    """Our pool's config, written into the job's folder."""
    path = job.folder / "worker.toml"
    queue: dict[str, Any] = {
        "url": job.queue_url,
        "handler": job.handler or f"benchmarks.application:{'noop' if job.work == 'noop' else 'work'}",
        "handlers": job.handlers,
    }
    drain = max(25, int(job.settings.get("wait", 0)) + 7)  # what the config asks for beside a long wait
    lines = [
        "[worker]",
        'name = "bench"',
        f"drain_timeout = {drain}",
        f'control_socket = "{job.folder}/s"',
        'log_level = "warning"',
    ]
    lines += ["[queues.work]", *[f"{key} = {json.dumps(value)}" for key, value in (queue | dict(job.settings)).items()]]
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)
    return path


def _worker_commands(job: Job) -> list[list[str]]:
    return [[sys.executable, "-m", "worker", "run", "--config", str(config(job)), "--parent", str(os.getpid())]]


WORKER = Contender(
    name="worker",
    how="`worker run` with its defaults: one poller, one spare handler, leases, slots and counters on",
    commands=_worker_commands,
    bodies=plain_bodies,
)


class Running:
    """The processes of a contender."""

    def __init__(self, contender: Contender, job: Job) -> None:
        self._contender, self._job = contender, job
        self.log = job.folder / "log"
        self._log = self.log.open("ab")
        self._commands = contender.commands(job)
        self._processes = [self._start(command) for command in self._commands]
        self._again_at: dict[int, float] = {}

    @property
    def roots(self) -> list[int]:
        """Their pids, without those below them."""
        return [process.pid for process in self._processes]

    @property
    def ended(self) -> bool:
        """Whether one has ended by itself."""
        return any(process.poll() is not None for process in self._processes)

    def cpu(self) -> float:
        """CPU seconds of the whole tree."""
        return tree.cpu(self.roots)

    def tend(self, now: float, pause: float) -> None:
        """Start again the roots that have ended, `pause` seconds after that was seen, as a service manager does."""
        for place, process in enumerate(self._processes):
            if process.poll() is not None and now >= self._again_at.setdefault(process.pid, now + pause):
                self._processes[place] = self._start(self._commands[place])

    def signal(self, number: int) -> None:
        """To the roots."""
        for process in self._processes:
            process.send_signal(number)

    def wait(self, patience: float) -> int:
        """Wait for all; the first exit code. Raises subprocess.TimeoutExpired."""
        end = time.monotonic() + patience
        codes = [process.wait(max(0.01, end - time.monotonic())) for process in self._processes]
        return codes[0]

    def stop(self) -> None:
        """Away with the whole tree: what it holds is a scratch queue."""
        tree.kill(self.roots)
        for process in self._processes:
            # What was started in this moment; they lead sessions of their own, so nobody else is in the group.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.wait()
        self._log.close()

    def gist(self) -> str:
        """The end of what it said."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-6:])

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env={**self._job.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )


@contextmanager
def running(contender: Contender, job: Job) -> Iterator[Running]:
    """Start it; at the end of the block nothing of it is left."""
    started = Running(contender, job)
    try:
        yield started
    finally:
        started.stop()
