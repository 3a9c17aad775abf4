"""Command line: `python -m benchmarks.profile`: where the processes of a pool at load spend their time, by py-spy.

py-spy comes from PyPI into an environment of its own and looks from outside; on Linux that may need root. It prints
Markdown, for the poller and for a handler: the CPU of its threads, which the kernel counts exactly; and the shares of
areas and functions in samples of its stacks, which are rough where many threads wait for one interpreter.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

from benchmarks import environments
from benchmarks.contender import WORKER, running
from benchmarks.endpoints import embedded, wait_for_depth
from benchmarks.pool_status import pids, wait_until_running
from benchmarks.rows import Case
from benchmarks.stage import Stage

_PACKAGES = ("py-spy==0.4.1",)
_SECONDS = 5
#: Areas by what the innermost frame's file path holds; the first that fits.
_AREAS = {
    "botocore/": "botocore and boto3",
    "boto3/": "botocore and boto3",
    "urllib3/": "HTTP: urllib3, http, email, ssl",
    "http/client": "HTTP: urllib3, http, email, ssl",
    "email/": "HTTP: urllib3, http, email, ssl",
    "socket.py": "HTTP: urllib3, http, email, ssl",
    "ssl.py": "HTTP: urllib3, http, email, ssl",
    "worker/aws/": "worker/aws",
    "worker/policy/": "worker/policy",
    "worker/poller/": "worker/poller",
    "worker/handler/": "worker/handler",
    "worker/": "streams, slots, leases, frames",
}
_TOP = 12
#: Innermost functions that wait in C for a queue, a socket or a lock: py-spy cannot tell that from work.
_WAITING = {"_serve_controls", "_serve_receives", "_watch", "_sleep", "wait", "do_poll", "select", "readinto"}


def shares(stacks: Iterable[str], *, by_area: bool) -> list[tuple[str, float]]:
    """Of `outer;inner COUNT` lines, without waits: the share of each area or innermost function, largest first."""
    found: Counter[str] = Counter()
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        innermost = stack.rpartition(";")[2]
        if innermost.partition(" (")[0] in _WAITING:
            continue
        found[area(innermost) if by_area else _function(innermost)] += int(count)
    total = found.total()
    return [(name, count / total) for name, count in found.most_common()]


def area(frame: str) -> str:
    """The area of a frame, `function (path:line)`."""
    for part, name in _AREAS.items():
        if part in frame:
            return name
    return "Python's own"


def _function(frame: str) -> str:
    name, _, place = frame.partition(" (")
    path = place.partition(":")[0].removesuffix(")")
    return f"{name} ({'/'.join(path.split('/')[-2:])})"


def main() -> int:
    """Profile the poller, then a handler."""
    environments.make_python("py-spy", _PACKAGES)
    case = Case(bench="throughput")
    with embedded() as endpoint:
        stage = Stage(endpoint=endpoint)
        count = stage.backlog(case)
        with stage.job(case) as job:
            endpoint.fill(job.queue_url, WORKER.bodies(0, count, case.size, job.environ))
            with running(WORKER, job):
                roles = pids(wait_until_running(job.folder))
                wait_for_depth(endpoint, job.queue_url, most=count - 1000, patience=30.0)
                for role in ("poller", "handler"):
                    before = _threads(roles[role][0])
                    stacks = _record(roles[role][0])
                    _show(role, stacks, _grown(before, _threads(roles[role][0])))
    return 0


def _record(pid: int) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="bench-profile-") as folder:
        raw = Path(folder) / "raw"
        command = [
            str(environments.python_of("py-spy").with_name("py-spy")),
            "record",
            "--format",
            "raw",
            "--full-filenames",
        ]
        command += ["--duration", str(_SECONDS), "--rate", "500", "--output", str(raw), "--pid", str(pid)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"py-spy cannot look at process {pid}: {done.stderr.strip()[-300:]}")
        return raw.read_text().splitlines()


def _threads(pid: int) -> dict[int, tuple[float, float]]:
    """CPU seconds in user code and in the kernel, by thread."""
    try:
        return {one.id: (one.user_time, one.system_time) for one in psutil.Process(pid).threads()}
    except psutil.NoSuchProcess:
        return {}  # it was replaced, as a poller is that a profiler holds up too long


def _grown(before: Mapping[int, tuple[float, float]], after: Mapping[int, tuple[float, float]]) -> dict[str, float]:
    """CPU seconds by kind of thread; the first thread of a process is the one with the smallest id."""
    found = {
        "main thread, user": 0.0,
        "main thread, kernel": 0.0,
        "other threads, user": 0.0,
        "other threads, kernel": 0.0,
    }
    for thread, (user, system) in after.items():
        kind = "main thread" if thread == min(after) else "other threads"
        past = before.get(thread, (0.0, 0.0))
        found[f"{kind}, user"] += user - past[0]
        found[f"{kind}, kernel"] += system - past[1]
    return found


def _show(role: str, stacks: list[str], threads: Mapping[str, float]) -> None:
    print(f"| {role}: CPU of its threads | share |\n|---|---|")
    for name, seconds in threads.items():
        print(f"| {name} | {seconds / max(sum(threads.values()), 0.01):.0%} |")
    print()
    print(f"| {role}: area | share |\n|---|---|")
    for name, share in shares(stacks, by_area=True):
        print(f"| {name} | {share:.0%} |")
    print(f"\n| {role}: function | share |\n|---|---|")
    for name, share in shares(stacks, by_area=False)[:_TOP]:
        print(f"| `{name}` | {share:.1%} |")
    print()


if __name__ == "__main__":
    raise SystemExit(main())
