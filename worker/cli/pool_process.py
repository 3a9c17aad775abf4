"""Command line: a pool as a child process of `worker dev` and `worker demo`: `worker run`, its status, its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import IO, Any, Self

from worker.cli import exits
from worker.cli.control import ask


class PoolProcess:
    """`worker run`, in a session of its own, so that a Ctrl-C reaches it only through us. Dies with this process."""

    def __init__(self, config: str, *, environ: Mapping[str, str], sets: Sequence[str], log: IO[bytes] | None) -> None:
        command = [sys.executable, "-m", "worker", "run", "--config", config, "--parent", str(os.getpid())]
        for one in sets:
            command += ["--set", one]
        self._command = command
        self._environ = dict(environ)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it; `log` takes its standard output and error, the terminal's own if None."""
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, our own command
            self._command,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        return self

    @property
    def code(self) -> int | None:
        """The exit code, None while it runs; negative if a signal ended it."""
        return self._process.poll() if self._process else None

    def status(self, socket: str) -> dict[str, Any] | None:
        """What it answers to `worker status`; None as long as it does not."""
        try:
            return ask(socket, {"verb": "status"})
        except exits.Quit:
            return None

    def forward(self, number: int) -> None:
        """Pass a signal on."""
        if self._process:
            self._process.send_signal(number)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; the exit code. Raises subprocess.TimeoutExpired."""
        return self._process.wait(timeout) if self._process else 0

    def stop(self, *, patience: float) -> int:
        """Let it drain, and kill it if that takes longer than `patience` seconds; the exit code."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()  # its handlers die with it, its pollers release what they hold and go
            return self._process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.code is None:
            self.stop(patience=_DRAIN)


#: Seconds for the drain of a pool that nobody waits for: the default drain_timeout and a little more.
_DRAIN = 30.0
