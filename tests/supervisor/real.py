"""Test process: a real supervisor as a child, with stand-ins as its children; what they say is read from files."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from tests.conftest import eventually
from tests.supervisor.histories import queue
from worker import settings
from worker.settings import QueueSettings, Settings

DRIVER = Path(__file__).with_name("driver.py")
#: Puts a process where it is PID 1, with a /proc that shows it so.
PID_1 = ("unshare", "--pid", "--fork", "--mount-proc")


def said(path: Path) -> list[dict[str, Any]]:
    """Every whole line of a file of JSON lines."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.startswith("{") and line[-1] == "\n"]


class RealPool:
    """The supervisor of one test."""

    def __init__(self, folder: Path, *queues: QueueSettings, **keys: Any) -> None:
        self.folder = folder
        self.socket = folder / "run" / "worker.sock"
        keys = {"control_socket": str(self.socket), "drain_timeout": 5.0, "log_level": "debug", **keys}
        self.settings = Settings(name="shop", queues=queues or (queue(handler="", url="", handlers=2),), **keys)
        self.process: subprocess.Popen[bytes] | None = None
        self.write(self.settings)

    def write(self, config: Settings) -> None:
        (self.folder / "settings.json").write_bytes(orjson.dumps(settings.to_json(config)))

    def rewrite(self, **keys: Any) -> None:
        """Another queue table from now on, for whoever reads the file."""
        self.write(replace(self.settings, queues=tuple(replace(one, **keys) for one in self.settings.queues)))

    def start(self, wrapper: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        command = [*wrapper, sys.executable, str(DRIVER), str(self.folder / "settings.json")]
        with (self.folder / "out").open("ab") as out, (self.folder / "err").open("ab") as err:
            # The driver is run by its path, and finds what it drives also where that is not installed.
            env = {**os.environ, "PYTHONPATH": str(DRIVER.parents[2])}
            self.process = subprocess.Popen(command, stdout=out, stderr=err, start_new_session=True, env=env)
        return self.process

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def events(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """What children have said."""
        return [e for e in said(self.folder / "out") if e["event"] == event and fields.items() <= e.items()]

    def logged(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """What the supervisor has logged."""
        return [e for e in said(self.folder / "err") if e["event"] == event and fields.items() <= e.items()]

    def until(self, event: str, *, count: int = 1, **fields: Any) -> dict[str, Any]:
        """Wait for a word of a child, or of the supervisor's log; the last one."""
        found: list[dict[str, Any]] = []

        def heard() -> bool:
            found[:] = self.events(event, **fields) or self.logged(event, **fields)
            return len(found) >= count

        try:
            eventually(heard)
        except AssertionError:
            raise AssertionError(f"no {event} {fields}\n{(self.folder / 'err').read_text()[-3000:]}") from None
        return found[-1]

    def running(self) -> None:
        """Wait until every queue works and has its spares."""
        queues = self.settings.queues
        self.until("queue_ready", count=len(queues))
        ready = sum(one.handlers + one.spares + one.pollers for one in queues)
        self.until("child_ready", count=ready)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def ask(self, **request: Any) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(str(self.socket))
            client.sendall(json.dumps(request).encode() + b"\n")
            with client.makefile("rb") as answer:
                return dict(json.loads(answer.read()))

    def children(self, kind: str, name: str = "orders") -> list[dict[str, Any]]:
        return list(self.ask(verb="status")["queues"][name][kind])

    def pids(self) -> list[int]:
        queues = self.ask(verb="status")["queues"].values()
        return [child["pid"] for one in queues for kind in ("pollers", "handlers") for child in one[kind]]

    def code(self) -> int:
        """Wait for its end."""
        assert self.process is not None
        return self.process.wait(30)


def gone(*pids: int) -> bool:
    """Whether none of these processes exists any more, a zombie aside."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            os.kill(pid, 0)
            if (
                not Path("/proc/self").exists()
                or Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
            ):
                return False
    return True


@contextlib.contextmanager
def real_pool(folder: Path, *queues: QueueSettings, wrapper: Sequence[str] = (), **keys: Any) -> Iterator[RealPool]:
    """A pool that has been started, and is gone afterwards with all that it started."""
    pool = RealPool(folder, *queues, **keys)
    process = pool.start(wrapper)
    try:
        yield pool
    finally:
        if process.poll() is None:
            process.kill()  # its handlers die with it, its pollers at the end of their control sockets
        process.wait(10)
        started = [e["pid"] for e in pool.events("handler_started") + pool.events("poller_started")]
        if not wrapper:
            eventually(lambda: gone(*started))


def stand_in(name: str = "orders", *, handler: str = "", poller: str = "", **keys: Any) -> QueueSettings:
    """A queue whose stand-ins do what these words say."""
    return replace(queue(name, **keys), handler=handler, url=poller, queue_name="")
