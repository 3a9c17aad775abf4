"""Chaos process: the pool under test: `worker run` in a process of its own, started again as systemd would."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self

from chaos import targets
from chaos.limits import MemoryLimit, blocked_pipe, full_disk
from chaos.logs import EFFECTS

ROOT = Path(__file__).parents[1]
#: Seconds after the supervisor's death until it is started again (systemd's RestartSec=).
RESTART = 0.1
#: Where the pool's output goes, in turn with every start: (standard output, standard error).
_OUTPUTS = (("blocked", "full"), ("full", "blocked"), ("file", "file"))


class Pool(Protocol):
    """What the storm and the run need of a pool; the naive loop is one too."""

    #: How often it was started again, and the exit codes that it ended with by itself.
    restarts: int
    codes: Counter[int]

    def start(self) -> None:
        """Start it."""

    def tend(self, now: float) -> None:
        """Start again what has ended."""

    def supervisor(self) -> int:
        """The pid of the supervisor; 0 without one."""

    def roles(self) -> dict[str, list[int]]:
        """The pids of pollers and handlers."""

    def drain(self, patience: float) -> int:
        """Ask it to end, and wait; the exit code, or -9 if it had to be killed after `patience` seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How a pool is to be run."""

    folder: Path
    endpoint: str
    queue_url: str
    effects: Path
    handlers: int = 3
    wait: int = 1  #: seconds
    visibility: int = 9  #: seconds: the least that `worker check` allows for this wait
    handler_timeout: float = 14.0  #: seconds
    drain: int = 15  #: seconds
    plain_logs: bool = False  #: output goes to a file always
    memory: int = 640 * 2**20  #: bytes of all processes together
    mutant: str = ""  #: the name of a bug to be put into every process

    def environment(self) -> dict[str, str]:
        """The environment of every process of the pool."""
        bug = {"CHAOS_MUTANT": self.mutant} if self.mutant else {}
        path = [str(ROOT / "chaos" / "mutation"), str(ROOT)] if self.mutant else [str(ROOT)]
        return bug | {
            **os.environ,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "PYTHONPATH": os.pathsep.join(path),
            EFFECTS: str(self.effects),
        }


class WorkerPool:
    """`worker run`. Use it as a context: at its end no process of it is left."""

    def __init__(self, setup: Setup) -> None:
        self.restarts = 0
        self.codes: Counter[int] = Counter()
        self.log = setup.folder / "pool.log"
        self.limit = MemoryLimit(setup.memory)
        self._setup = setup
        self._config = _config(setup)
        self._stack = contextlib.ExitStack()
        self._outputs: dict[str, IO[bytes] | int] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._again_at = 0.0
        self._starts = 0

    def __enter__(self) -> Self:
        self._outputs["file"] = self._stack.enter_context(self.log.open("ab"))
        self._outputs["full"] = self._stack.enter_context(
            self._stack.enter_context(full_disk(self._setup.folder)).open("ab")
        )
        self._outputs["blocked"] = self._stack.enter_context(blocked_pipe())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        end_all(self.left())
        self.limit.remove()
        self._stack.close()

    def start(self) -> None:
        """Start the supervisor."""
        out, err = ("file", "file") if self._setup.plain_logs else _OUTPUTS[self._starts % len(_OUTPUTS)]
        self._starts += 1
        # It dies with this process: a run that is broken off leaves no pool behind.
        command = [sys.executable, "-m", "worker", "run", "--config", str(self._config), "--parent", str(os.getpid())]
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, our own command
            command,
            env=self._setup.environment(),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=self._outputs[out],
            stderr=self._outputs[err],
        )
        self.limit.add(self._process.pid)

    def tend(self, now: float) -> None:
        """Start the supervisor again, a moment after its end."""
        if self._process is not None and (code := self._process.poll()) is not None:
            self.codes[code] += 1
            self._process, self._again_at = None, now + RESTART
        if self._process is None and now >= self._again_at:
            self.restarts += 1
            self.start()

    def supervisor(self) -> int:
        """Its pid; 0 while there is none."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    def roles(self) -> dict[str, list[int]]:
        """The children of the supervisor; what an earlier one left is not counted."""
        return targets.roles(self.supervisor()) if self.supervisor() else {}

    def drain(self, patience: float) -> int:
        """SIGTERM, and the exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return -signal.SIGKILL

    def left(self) -> list[int]:
        """Every process that carries this pool's environment and lives, whoever its parent is by now."""
        return targets.carrying(f"{EFFECTS}={self._setup.effects}", below=os.getpid())


def end_all(pids: list[int]) -> None:
    """SIGKILL these processes."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def wait_until_gone(pool: WorkerPool, patience: float) -> list[int]:
    """Wait for the end of every process of the pool; gives those that are left after `patience` seconds."""
    end = time.monotonic() + patience
    while (left := pool.left()) and time.monotonic() < end:
        time.sleep(0.05)
    return left


def _config(setup: Setup) -> Path:
    path = setup.folder / "worker.toml"
    queue = {
        "url": setup.queue_url,
        "handler": "chaos.application:work",
        "handlers": setup.handlers,
        "wait": setup.wait,
        "visibility_timeout": setup.visibility,
        "handler_timeout": setup.handler_timeout,
    }
    lines = ["[worker]", 'name = "chaos"', f'control_socket = "{setup.folder}/s"', f"drain_timeout = {setup.drain}"]
    lines += ["[queues.work]", *[f"{key} = {json.dumps(value)}" for key, value in queue.items()]]
    lines.append("retry = { first = 0.2, most = 2 }")
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)
    return path
