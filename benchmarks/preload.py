"""Command line: measures handlers that a template forks (`preload = true`) beside handlers that are exec'd.

    python -m benchmarks.preload [--deaths 200] [--handlers 2] [--megabytes 50] [--seconds 2]

The application holds so many megabytes of small Python objects after its import, which takes so many seconds of CPU.
For each way of starting handlers: the time until the first handlers were ready; the time from SIGKILL of a handler that
has a place to the moment at which another one is attached to its poller, without and with a spare; and the memory that
one handler adds (USS: pages that no other process has) after it has run 500 messages. Each looks at 20 objects: of a
thousand that all messages use, or of all, at random, which is the worst case: CPython counts references in the objects
themselves, so an object that is only read makes its page of memory the handler's own. Targets: 250 ms at the 99th
percentile, 6 MB.

Linux only. Measured 2026-11 with --deaths 100 on 2 shared cores of an AMD EPYC under a load of 13, Python 3.11.7:

    memory of a handler: exec'd 42.9 MB; forked 3.3 MB (1,000 objects used), 20.4 MB (all, at random)
    a death without a spare: exec'd p50 4.2 s, p99 4.7 s; forked p50 68 ms, p99 119 ms
    a death with a spare: exec'd p50 7 ms, p99 15 ms; forked p50 12 ms, p99 54 ms

An earlier run at the same load had 34 and 60 ms for forked ones without a spare. Run it again before you quote it.
"""

import argparse
import json
import os
import platform
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import boto3
import psutil

from worker.testing.sqs_server.process import SqsServerProcess

_APPLICATION: Final = """
import os, random, time

TABLE = []
while len(TABLE) % 1000 or int(open("/proc/self/statm").read().split()[1]) * 4096 < {megabytes} * 1_000_000:
    TABLE.append({{"id": len(TABLE), "name": f"name {{len(TABLE)}}", "tags": [str(len(TABLE)), float(len(TABLE))]}})
while time.process_time() < {seconds}:
    pass

USED = TABLE[: int(os.environ["USED"])]

def handle(message):
    for _ in range(20):
        len(random.choice(USED)["name"])
"""
_CONFIG: Final = """
[worker]
name = "preload"
drain_timeout = 8
[queues.work]
url = "{url}"
handler = "application:handle"
handlers = {handlers}
spares = {spares}
wait = 1
preload = {preload}
"""
_MESSAGES: Final = 500  #: that each handler runs before its memory is measured, on average


class Pool:
    """`worker run`, followed by its log."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: IO[bytes]) -> None:
        self._process, self._log = process, log
        self.attached: dict[int, int] = {}  #: places by pid
        self.ready: set[int] = set()  #: handlers that have been ready

    def until(self, event: str, **fields: Any) -> dict[str, Any]:
        """Reads the log up to such a line."""
        for text in self._log:
            line = json.loads(text)
            pid = line.get("pid", 0)
            if line["event"] == "handler_attached":
                self.attached[pid] = line["number"]
            elif line["event"] == "child_ready" and line["child"] == "handler":
                self.ready.add(pid)
            elif line["event"] == "child_died":
                self.attached.pop(pid, None)
                self.ready.discard(pid)
            if line["event"] == event and fields.items() <= line.items():
                return dict(line)
        raise RuntimeError(f"the pool ended with {self._process.wait()} before {event}")

    def tree(self) -> list[psutil.Process]:
        """All its processes."""
        return psutil.Process(self._process.pid).children(recursive=True)

    def replace(self, spares: int) -> float:
        """Kills a handler that has a place; seconds until another one has it."""
        pid = random.choice(list(self.attached))
        wanted = len(self.ready)
        start = time.perf_counter()
        os.kill(pid, signal.SIGKILL)
        self.until("handler_attached", number=self.attached[pid])
        took = time.perf_counter() - start
        while spares and len(self.ready) < wanted:
            self.until("child_ready", child="handler")
        return took


@contextmanager
def pool(folder: Path, url: str, *, preload: bool, handlers: int, spares: int) -> Iterator[Pool]:
    """A pool that drains at the end."""
    config = folder / "worker.toml"
    config.write_text(_CONFIG.format(url=url, handlers=handlers, spares=spares, preload=str(preload).lower()))
    config.chmod(0o600)
    command = [sys.executable, "-m", "worker", "run", "--config", str(config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, cwd=folder) as process:
        if process.stderr is None:
            raise RuntimeError
        try:
            yield Pool(process, process.stderr)
        finally:
            process.terminate()
            process.communicate(timeout=30)


def replacements(folder: Path, url: str, *, preload: bool, handlers: int, spares: int, deaths: int) -> str:
    """The line of a table about how long a place stays empty."""
    with pool(folder, url, preload=preload, handlers=handlers, spares=spares) as one:
        one.until("queue_ready")
        while len(one.ready) < handlers + spares:
            one.until("child_ready", child="handler")
        took = sorted(one.replace(spares) * 1000 for _ in range(deaths))
    p99 = took[min(len(took) - 1, int(len(took) * 0.99))]
    return f"p50 {statistics.median(took):8.1f} ms   p99 {p99:8.1f} ms   worst {took[-1]:8.1f} ms   of {deaths}"


def memory(folder: Path, url: str, *, preload: bool, handlers: int, used: int) -> tuple[float, list[int], list[int]]:
    """Seconds until the queue was ready, and bytes (USS) of each handler and of the template after some work."""
    sqs: Any = boto3.client("sqs")
    os.environ["USED"] = str(used)
    start = time.perf_counter()
    with pool(folder, url, preload=preload, handlers=handlers, spares=0) as one:
        one.until("queue_ready")
        ready = time.perf_counter() - start
        entries = [{"Id": str(place), "MessageBody": "{}"} for place in range(10)]
        for _ in range(handlers * _MESSAGES // 10):
            sqs.send_message_batch(QueueUrl=url, Entries=entries)
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        while any(
            int(count) for count in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()
        ):
            time.sleep(0.1)
        templates = [child for child in one.tree() if "worker.template" in child.cmdline()]
        own = [psutil.Process(pid).memory_full_info().uss for pid in one.attached]
        return ready, own, [child.memory_full_info().uss for child in templates]


def main() -> None:
    """Both ways of starting handlers, in turn."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.preload",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--deaths", type=int, default=200, help="handlers to kill (default: %(default)s)")
    parser.add_argument("--handlers", type=int, default=2, help="handlers of the queue (default: %(default)s)")
    parser.add_argument("--megabytes", type=int, default=50, help="that the import allocates (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=2, help="CPU time of the import (default: %(default)s)")
    arguments = parser.parse_args()
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores")
    os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    with SqsServerProcess() as server, tempfile.TemporaryDirectory() as name:
        os.environ["AWS_ENDPOINT_URL"] = server.url
        folder = Path(name)
        source = _APPLICATION.format(megabytes=arguments.megabytes, seconds=arguments.seconds)
        (folder / "application.py").write_text(source)
        url = boto3.client("sqs").create_queue(QueueName="work")["QueueUrl"]
        for preload in (False, True):
            print(f"preload = {str(preload).lower()}, {arguments.handlers} handlers")
            for words, used in (("1,000 objects", 1000), ("all objects  ", 10**9)):
                ready, own, templates = memory(folder, url, preload=preload, handlers=arguments.handlers, used=used)
                shown = "".join(f", of the template {size / 1e6:.1f} MB" for size in templates)
                print(f"  queue ready after {ready:.2f} s")
                print(f"  memory of a handler that uses {words} {max(own) / 1e6:6.1f} MB{shown}")
            for spares in (0, 1):
                # Each death of an exec'd handler costs an import, so there are fewer of them.
                deaths = arguments.deaths if preload else max(1, arguments.deaths // 20)
                shown = replacements(
                    folder, url, preload=preload, handlers=arguments.handlers, spares=spares, deaths=deaths
                )
                print(f"  a death, {spares} spares   {shown}")


if __name__ == "__main__":
    main()
