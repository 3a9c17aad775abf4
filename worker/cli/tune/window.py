"""Command line: one trial of `worker tune`: a pool with some settings at work, measured over a window of time."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.cli import exits
from worker.cli.pool_process import PoolProcess
from worker.cli.tune.source import Place
from worker.policy.tuning import Candidate, Trial

#: Seconds in which a pool must get ready and handle its first message; imports of applications can take long.
_START = 60.0
#: The same for a real queue, once a trial has shown how the pool starts: its messages may be used up.
_DRY = 15.0
#: Seconds of work before the window: pollers need them to find out how many long polls help.
_WARM_UP = 1.0
#: Seconds that a drain may take longer than the config says.
_GRACE = 5.0
_LOOK = 0.05
#: Counters of a queue in which a message leaves the pool.
_DONE = ("deleted", "dead_lettered")


@dataclass(frozen=True, slots=True)
class Look:
    """What the pool says at a moment, and what its processes have used so far."""

    at: float
    counters: dict[str, int]
    busy: float  #: seconds of user code, all handlers together
    named: str  #: what the pollers say keeps them from being faster, where this version's status tells
    pollers: dict[int, float] | None  #: CPU seconds of each poller by pid; None without psutil
    tree: float | None  #: CPU seconds of the whole pool
    machine: tuple[float, float] | None  #: CPU seconds of the machine, busy and in all

    @property
    def done(self) -> int:
        """Messages that have left the pool for good."""
        return sum(self.counters[name] for name in _DONE)


class Dry(Exception):
    """A real queue brings no messages (any more)."""


def measure(
    config: str,
    table: str,
    *,
    candidate: Candidate,
    place: Place,
    sets: Sequence[str],
    seconds: float,
    drain: float,
    first: bool = True,
) -> Trial:
    """Run a pool with these settings for a window; `first`: no trial has shown yet that it can.

    Raises Quit if it does not work at all, Dry if it would and a real queue has no messages for it.
    """
    patience = _START if first or place.count else _DRY
    with tempfile.TemporaryDirectory(prefix="worker-tune-") as folder:
        socket, log_path = f"{folder}/s", Path(folder) / "log"
        # Ours come last: a later --set wins.
        tuned = [*sets, *place.sets, f"worker.control_socket={socket}"]
        tuned += [f"queues.{table}.{key}={value}" for key, value in candidate.items()]
        with log_path.open("wb") as log, PoolProcess(config, environ=place.environ, sets=tuned, log=log) as pool:
            try:
                begin = _until(pool, table, socket, done=1, patience=patience)
                last = _until(pool, table, socket, done=_nearly(place, 0.5), patience=_WARM_UP)
                if last.done < _nearly(place, 0.5) or not place.count:
                    begin = last  # there is enough left for a window without the first moments
                last = _until(pool, table, socket, done=_nearly(place, 0.95), patience=seconds)
            except _NotWorking as error:
                if isinstance(error, _Nothing) and not first and not place.count:
                    raise Dry(str(error)) from None
                gist = log_path.read_text(errors="replace").splitlines()[-5:]
                raise exits.Quit(exits.FAILED, "\n".join([str(error), *gist])) from None
            finally:
                pool.stop(patience=drain + _GRACE)
    return _trial(begin, last, candidate)


class _NotWorking(Exception):
    """The pool ended, or handles nothing."""


class _Nothing(_NotWorking):
    """It runs, and no message came."""


def _nearly(place: Place, share: float) -> int:
    """So many of the messages that are there; a number that is never reached where nobody knows how many are."""
    return int(place.count * share) if place.count else 2**62


def _until(pool: PoolProcess, table: str, socket: str, *, done: int, patience: float) -> Look:
    """Look until so many messages are done, or the time is over; the first message must come."""
    end = time.monotonic() + patience
    while True:
        if pool.code is not None:
            raise _NotWorking(f"the pool ended by itself, exit code {pool.code}")
        status = pool.status(socket)
        look = _look(status, table) if status and table in status["queues"] else None
        if look is not None and (look.done >= done or (time.monotonic() >= end and done > 1)):
            return look
        if time.monotonic() >= end:
            raise _Nothing(f"no message was handled within {patience:g} s")
        time.sleep(_LOOK)


def _look(status: dict[str, Any], table: str) -> Look:
    queue = status["queues"][table]
    busy = sum(float(handler["busy_seconds"]) for handler in queue["handlers"])
    pollers, tree, machine = _cpu(int(status["pid"]), [one["pid"] for one in queue["pollers"]])
    named = {str(one.get("limit", "")) for one in queue["pollers"]} - {"", "queue"}
    return Look(
        time.monotonic(), queue["counters"], busy, ", ".join(sorted(named)), pollers=pollers, tree=tree, machine=machine
    )


def _cpu(
    supervisor: int, pollers: Sequence[int]
) -> tuple[dict[int, float] | None, float | None, tuple[float, float] | None]:
    """CPU seconds, if psutil is there to tell; it comes with the extra `bench`."""
    try:
        import psutil
    except ImportError:
        return None, None, None
    found: dict[int, float] = {}
    total = 0.0
    root = psutil.Process(supervisor)
    for process in (root, *root.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
        if process.pid in pollers:
            found[process.pid] = times.user + times.system
    machine = psutil.cpu_times()
    idle = machine.idle + getattr(machine, "iowait", 0.0)
    return found, total, (sum(machine[:8]) - idle, sum(machine[:8]))


def _trial(first: Look, last: Look, candidate: Candidate) -> Trial:
    """The difference between two looks."""
    seconds = max(last.at - first.at, 1e-3)
    done = last.done - first.done

    def grown(name: str) -> int:
        return last.counters[name] - first.counters[name]

    places = candidate["handlers"] * (candidate.get("concurrency", 0) or candidate.get("threads", 1))
    poller = cores = None
    if first.pollers is not None and last.pollers is not None:
        poller = max((last.pollers[pid] - first.pollers.get(pid, 0.0) for pid in last.pollers), default=0.0) / seconds
    if first.machine is not None and last.machine is not None and last.machine[1] > first.machine[1]:
        cores = (last.machine[0] - first.machine[0]) / (last.machine[1] - first.machine[1])
    used = last.tree - first.tree if first.tree is not None and last.tree is not None else None
    return Trial(
        settings=candidate,
        rate=done / seconds,
        calls=grown("calls") / max(1, done),
        size=grown("received_bytes") / max(1, grown("received")),
        handlers_busy=min(1.0, max(0.0, last.busy - first.busy) / seconds / places),
        poller_busy=poller,
        cores_busy=cores,
        cpu_us=used / done * 1e6 if used is not None and done else None,
        named=last.named,
        failed=(grown("retried") + grown("rejected")) / max(1, grown("attempts")),
    )
