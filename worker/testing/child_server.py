"""Every process: a server of ours as a child process on loopback: its start, until it listens, and its end.

Such a server prints one line of JSON with its `url` once it listens, and ends when its standard input does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence

#: Seconds that a server may take to stop.
_PATIENCE = 20.0


class ChildServer:
    """`python -m MODULE` as a child; it dies with this process."""

    def __init__(self, name: str, module: str, *, arguments: Sequence[str]) -> None:
        self._name = name
        self._command = [sys.executable, "-m", module, *arguments]
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        """Starts it and waits until it listens; its URL. Raises RuntimeError, with what it said, if it does not."""
        command = list(self._command)
        if threading.current_thread() is threading.main_thread():
            # Linux ties the signal to the thread that forked: from another thread the server would die with that.
            command += ["--parent", str(os.getpid())]
        # A file, not a pipe: nobody reads it while the server runs, and a full pipe would stop the server.
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(  # noqa: S603 - our own module, no shell
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True
            )
            self._process = process
            line = process.stdout.readline() if process.stdout is not None else ""
            if not line:
                self.stop()
                said.seek(0)
                raise RuntimeError(f"{self._name} did not start: {said.read().decode(errors='replace').strip()}")
        return str(json.loads(line)["url"])

    @property
    def pid(self) -> int:
        """Its process id. Raises RuntimeError where it is not running."""
        if self._process is None:
            raise RuntimeError(f"{self._name} is not running")
        return self._process.pid

    def stop(self) -> None:
        """Ends it by its pid and reaps it; does nothing where it is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        process.terminate()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        finally:
            if process.stdout is not None:
                process.stdout.close()
