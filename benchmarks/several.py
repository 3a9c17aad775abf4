"""Benchmark process: messages that wait, in one handler process: in flight, messages a second, CPU per message.

    python -m benchmarks.several [--seconds 5] [--wait 0.05] [--rounds 1] [--only async-1000,plain-nothing]

A real handler process and the real actors of a poller, which run here, on an SQS without an end and without a round
trip (benchmarks/endless_sqs.py): what is measured is what a handler process can do, and what the pool costs beside the
calls to AWS. CPU is user and system time of each process, a message; the kernel's work for both ends of the stream is
in it. `ceiling` is what so many places allow at this wait.

Measured 2026-11 on 2 cores of an AMD EPYC that 15 to 29 other processes wanted as well, Python 3.11.7: of 1,000 places
410 to 640 in flight at 50 ms and 3,300 to 7,300 messages a second, 870 at 500 ms. CPU a message of handler and poller:
37 and 17 us async (asyncio alone: 8), 72 and 36 us in threads, 12 and 17 us in batches of ten, 5 and 13 us plain, which
was 5 and 13 us before there were several at once. 10,000 a second are 0.55 cores of CPU: run it on a quiet machine.

Run it on two checkouts, alternating (PYTHONPATH=other/checkout), to compare them: `plain-nothing` is the way that must
not get dearer.
"""

from __future__ import annotations

import argparse
import mmap
import os
import platform as machine
import random
import socket
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.endless_sqs import EndlessSqs
from worker import platform
from worker.channel import PROTOCOL, Channel, Frame, pair
from worker.leases import LeaseTable
from worker.policy.ledger import Ledger
from worker.policy.rules import Rules
from worker.poller.loop import PollerLoop
from worker.poller.state import PollerState
from worker.protocol import ControlFrame
from worker.settings import QueueSettings, Settings, to_json
from worker.slots import HandlerSlot, PollerSlot
from worker.telemetry import Log

ROOT = Path(__file__).parents[1]
#: Seconds before the measurement, in which credit and demand find their size.
WARM_UP = 1.5
#: What is run: name, handler function, keys of the queue's table, messages at once.
CASES: tuple[tuple[str, str, dict[str, Any], int], ...] = (
    ("plain-nothing", "nothing", {}, 1),
    ("plain-wait", "wait", {}, 1),
    ("threads-20", "wait", {"threads": 20}, 20),
    ("threads-100", "wait", {"threads": 100}, 100),
    ("async-100", "wait_async", {"concurrency": 100}, 100),
    ("async-1000", "wait_async", {"concurrency": 1000}, 1000),
    ("async-nothing", "nothing_async", {"concurrency": 100}, 100),
    ("batch-nothing", "nothing_batch", {"batch": (10, 0.5)}, 10),
)


@dataclass(frozen=True, slots=True)
class Result:
    """One case."""

    name: str
    seconds: float
    messages: int
    in_flight: float  #: mean of the messages named in the slot
    handler_cpu: float  #: seconds
    poller_cpu: float  #: seconds

    def row(self, ceiling: str) -> str:
        """As printed."""
        rate = self.messages / self.seconds
        costs = (1e6 * cpu / max(1, self.messages) for cpu in (self.handler_cpu, self.poller_cpu))
        handler, poller = costs
        return f"{self.name:<15}{rate:>10,.0f}{ceiling:>10}{self.in_flight:>11,.0f}{handler:>10.1f}{poller:>10.1f}"


class Bench:
    """One handler process, and the actors of its poller."""

    def __init__(self, function: str, keys: dict[str, Any], places: int, wait: float) -> None:
        keys = dict(keys)
        if "batch" in keys:
            from worker.settings import BatchSettings  # older checkouts, which this is compared with, have none

            size, seconds = keys["batch"]
            keys["batch"] = BatchSettings(size=size, wait=seconds)
        self.queue = QueueSettings(
            name="bench",
            handler=f"benchmarks.waiting:{function}",
            url="https://sqs.eu-west-1.amazonaws.com/1/bench",
            **keys,
        )
        self.sqs = EndlessSqs(b"x" * 1024)
        self._start_handler(places, wait)
        ours, self._supervisor = pair()  # closed, it would mean that the supervisor is dead
        table = LeaseTable(mmap.mmap(-1, LeaseTable.size(8192)))
        rules = Rules(fifo=False, visibility=60.0, retry=self.queue.retry)
        state = PollerState(
            queue=self.queue,
            ledger=Ledger(table, rules),
            table=table,
            sqs=self.sqs,
            control=Channel(ours),
            log=Log("error"),
            chance=random.random,
            token=lambda: str(uuid.uuid4()),
        )
        self.loop = PollerLoop(state, PollerSlot(mmap.mmap(-1, PollerSlot.size())))
        self._attach(places)

    def run(self, seconds: float) -> None:
        """Let it work; samples what is in flight."""
        self.samples: list[int] = []
        end, sample_at = time.monotonic() + seconds, 0.0
        while (now := time.monotonic()) < end:
            if now >= sample_at:
                sample_at = now + 0.05
                self.samples.append(len(self.slot.running()))
            self.loop.wait(min(0.05, max(0.0, self.loop.step(platform.now()))))

    def measure(self, name: str, seconds: float) -> Result:
        """One result, after a warm-up."""
        self.run(WARM_UP)
        times, own, done = self._handler_cpu(), time.process_time(), self.slot.look().done
        started = time.monotonic()
        self.run(seconds)
        return Result(
            name,
            time.monotonic() - started,
            self.slot.look().done - done,
            sum(self.samples) / len(self.samples),
            self._handler_cpu() - times,
            time.process_time() - own,
        )

    def close(self) -> None:
        """Kill the handler process."""
        self.process.kill()
        self.process.wait()
        self.control.close()
        self.loop.close()

    def _start_handler(self, places: int, wait: float) -> None:
        here, there = pair()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "worker.handler", str(there.fileno()), str(os.getpid())],
            pass_fds=(there.fileno(),),
            start_new_session=True,
            env=os.environ | {"WAIT": str(wait)},
            cwd=ROOT,
        )
        there.close()
        self.control = Channel(here)
        self._slot_fd, stacks = (
            platform.anonymous_file("slot", HandlerSlot.size(places)),
            platform.anonymous_file("s", 0),
        )
        self.slot = HandlerSlot(platform.map_file(self._slot_fd), places)
        settings = Settings(name="bench", queues=(self.queue,), paths=(str(ROOT),))
        header = {
            "settings": to_json(settings),
            "queue": "bench",
            "number": 0,
            "uid": 1,
            "parent": os.getpid(),
            "protocol": PROTOCOL,
            "concurrency": places,
        }
        self.control.send(ControlFrame.SETUP, header, fds=(self._slot_fd, stacks))
        while not any(frame.kind == ControlFrame.READY for frame in self.control.receive()):
            if self.process.poll() is not None:
                raise SystemExit("the handler process did not start")
            time.sleep(0.01)

    def _attach(self, places: int) -> None:
        here, there = pair()
        self.control.send(ControlFrame.ATTACH, {"link": 1, "poller": 0}, fds=(there.fileno(),))
        there.close()
        told = {"link": 1, "handler": 1, "number": 0, "pid": self.process.pid, "concurrency": places}
        frame = Frame(ControlFrame.ATTACH, told, b"", (here.detach(), os.dup(self._slot_fd)))
        self.loop.order(frame, platform.now())

    def _handler_cpu(self) -> float:
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system


def main() -> None:
    """Run the cases and print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.several",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--wait", type=float, default=0.05, help="seconds that each message waits")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", default="", help="names of cases, by commas")
    args = parser.parse_args()
    wanted = args.only.split(",") if args.only else [name for name, *_ in CASES]
    print(f"{machine.platform()}, {os.cpu_count()} cores, Python {machine.python_version()}, {socket.gethostname()}")
    print(f"{'case':<15}{'msg/s':>10}{'ceiling':>10}{'in flight':>11}{'handler':>10}{'poller':>10}  us CPU a message")
    for _ in range(args.rounds):
        for name, function, keys, places in CASES:
            if name in wanted:
                bench = Bench(function, keys, places, args.wait)
                try:
                    ceiling = f"{places / args.wait:,.0f}" if function.startswith("wait") else "-"
                    print(bench.measure(name, args.seconds).row(ceiling), flush=True)
                finally:
                    bench.close()


if __name__ == "__main__":
    main()
