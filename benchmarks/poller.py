"""Command line: measures the poller's CPU per message without its SQS client: ledger, lease table, streams, handlers.

    python -m benchmarks.poller [--seconds 5] [--handlers 2] [--bytes 1024] [--round-trip 0] [--stages] [--profile FILE]

The poller's loop runs in this process, on a lease table and slot of its own. SQS is played by an object that answers
every request at once (or after --round-trip seconds), so what is left is what a poller does beside its client. Handlers
are real processes, with a function that returns at once. The CPU of a client comes on top.

The messages are made before the clock starts, and used again and again: what a receive costs to parse is the client's.
--stages adds what each actor takes, which costs a few per cent itself; --profile writes a cProfile file instead.

Measured 2026-11 on 2 cores of an AMD EPYC that others used as well (load 3 to 30), Python 3.11.7, 1 KiB bodies, 2
handlers, before and after "nothing per message that can be per batch", in turns, medians of three; us of CPU per
message of poller + handlers, and messages a second beside them, which say more of the load than of the poller:

| | before | after |
|---|---|---|
| 0 ms a call, load 3 | 10.0 + 5.2, 76,000/s | 9.1 + 5.3, 80,000/s |
| 0 ms a call, load 25 | 13.4 + 7.8, 6,900/s | 11.1 + 7.2, 7,600/s |
| 10 ms a call, 8 polls, load 12 | 16.3 + 11.3, 6,100/s | 14.5 + 8.4, 6,300/s |
| 10 ms a call, 32 polls, load 30 | 17.6 + 10.2, 3,500/s | 11.9 + 8.0, 7,000/s |
| 1 MiB bodies shared, 1 handler, load 11 | 255 + 255, 182 to 254 MB/s | 111 + 134, 2,600 MB/s |

0.20 calls a message throughout. 1 MiB bodies made anew, 20 ms a call, 32 polls: 605 MB/s within 95 MiB.
Run it again before you quote it.
"""

from __future__ import annotations

import argparse
import cProfile
import heapq
import os
import platform
import random
import select
import subprocess
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from worker.channel import PROTOCOL, Channel, Frame, pair
from worker.leases import LeaseTable
from worker.platform import anonymous_file, cpu_seconds, map_file, now
from worker.policy.delivery import Received
from worker.policy.ledger import Ledger
from worker.policy.requests import Answer, Delete, Receive, Request
from worker.policy.rules import Rules
from worker.poller.loop import PollerLoop
from worker.poller.state import PollerState
from worker.protocol import ControlFrame
from worker.settings import QueueSettings, Settings, to_json
from worker.slots import HandlerSlot, PollerSlot
from worker.telemetry import Log

_ROOT = Path(__file__).parents[1]
#: Distinct messages; more than a lease table holds, so none comes again while it is held.
_DISTINCT = 8192
#: Bodies of so many bytes are made anew for each receive, so that memory is what it would be; smaller ones are shared.
_LARGE = 16 * 1024
#: Settlement calls on their way at most.
_CALLS = 32
#: Characters of a receipt handle, as AWS's have.
_RECEIPT = 404
#: What is timed by --stages: actor, method.
_STAGES = (
    *(("receiver", "answered"), ("receiver", "step"), ("settler", "answered"), ("settler", "step")),
    *(("dispatcher", "readable"), ("dispatcher", "step"), ("dispatcher", "target"), ("heartbeater", "step")),
)


def handle(message: object) -> None:
    """The handler function: nothing."""


class PlayedSqs:
    """Implements policy.requests.Sqs: an endless queue that answers `round_trip` seconds after it was asked."""

    def __init__(self, size: int, round_trip: float) -> None:
        body = b"x" * (size if size < _LARGE else 0)
        attributes = {"SenderId": "AIDA", "SentTimestamp": "1763800000000", "ApproximateReceiveCount": "1"}
        attributes["ApproximateFirstReceiveTimestamp"] = "1763800000001"
        self._messages = [
            Received(str(uuid.uuid4()), random.randbytes(_RECEIPT // 2).hex(), body, attributes, {})
            for _ in range(_DISTINCT)
        ]
        self._size = size
        self._place = 0
        self._round_trip = round_trip
        self._coming: list[tuple[float, int, Answer]] = []
        self._number = 0
        self._fd = os.eventfd(0, os.EFD_NONBLOCK)
        self.receiving = 0
        self.settling = 0
        self.calls = 0

    def fileno(self) -> int:
        """Readable once `ring` saw that an answer has come."""
        return self._fd

    def due(self, now: float) -> float:
        """Never: `ring` keeps the time."""
        del now
        return float("inf")

    def start(self, request: Request, token: object) -> None:
        """Its answer comes after the round trip."""
        at = now()
        if isinstance(request, Receive):
            self.receiving += 1
            place = self._place
            if place + request.count > _DISTINCT:
                place = 0
            self._place = place + request.count
            messages = self._messages[place : place + request.count]
            if self._size >= _LARGE:
                messages = [replace(message, body=b"x" * self._size) for message in messages]
            answer = Answer(token, request, at, messages=tuple(messages))
        else:
            self.settling += 1
            answer = Answer(token, request, at, entries=(None,) * _entries(request))
        self._number += 1
        self.calls += 1
        heapq.heappush(self._coming, (at + self._round_trip, self._number, answer))

    def ring(self, at: float) -> float:
        """Make the descriptor readable if an answer has come by `at`; seconds till the next one comes."""
        if not self._coming:
            return float("inf")
        wait = self._coming[0][0] - at
        if wait <= 0:
            os.eventfd_write(self._fd, 1)
        return max(0.0, wait)

    def answers(self) -> list[Answer]:
        """What has come by now."""
        os.eventfd_read(self._fd)
        found, at = [], now()
        while self._coming and self._coming[0][0] <= at:
            answer = heapq.heappop(self._coming)[2]
            if isinstance(answer.request, Receive):
                self.receiving -= 1
            else:
                self.settling -= 1
            found.append(answer)
        return found


def _entries(request: Request) -> int:
    return len(request.receipts if isinstance(request, Delete) else getattr(request, "entries", ()))


class HandlerProcess:
    """A real handler process, started as a supervisor does it."""

    def __init__(self, settings: Settings, uid: int) -> None:
        here, there = pair()
        fd = there.fileno()
        self.uid = uid
        command = [sys.executable, "-m", "worker.handler", str(fd), str(os.getpid())]
        self.process = subprocess.Popen(command, pass_fds=(fd,), stdin=subprocess.DEVNULL, start_new_session=True)
        there.close()
        self.control = Channel(here)
        self.slot_fd, stacks = anonymous_file("slot", HandlerSlot.size(1)), anonymous_file("stacks", 0)
        header = {"settings": to_json(settings), "queue": "bench", "number": uid - 1, "uid": uid}
        header |= {"parent": os.getpid(), "protocol": PROTOCOL, "concurrency": 1}
        self.control.send(ControlFrame.SETUP, header, fds=(self.slot_fd, stacks))
        self._hear(ControlFrame.READY)
        self.usage = psutil.Process(self.process.pid)

    def attach(self, loop: PollerLoop) -> None:
        """Both ends of a stream: one to the process, one to the poller's loop."""
        here, there = pair()
        self.control.send(ControlFrame.ATTACH, {"link": self.uid, "poller": 0}, fds=(there.fileno(),))
        there.close()
        header = {"handler": self.uid, "number": self.uid - 1, "pid": self.process.pid}
        header |= {"concurrency": 1, "link": self.uid}
        loop.order(Frame(ControlFrame.ATTACH, header, b"", (os.dup(here.fileno()), os.dup(self.slot_fd))), now())
        here.close()

    def cpu(self) -> float:
        """Seconds it has used."""
        times = self.usage.cpu_times()
        return float(times.user + times.system)

    def _hear(self, kind: ControlFrame) -> None:
        while True:
            select.select([self.control], [], [], 10)
            if any(frame.kind == kind for frame in self.control.receive()):
                return

    def close(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait(10)
        self.control.close()


def _loop(settings: Settings, sqs: PlayedSqs, control: Channel) -> PollerLoop:
    queue = settings.queue("bench")
    table = LeaseTable(map_file(anonymous_file("leases", LeaseTable.size())))
    rules = Rules(fifo=False, visibility=int(queue.visibility_timeout), retry=queue.retry)
    state = PollerState(
        queue=queue,
        ledger=Ledger(table, rules, first_seq=(1 << 40) + 1),
        table=table,
        sqs=sqs,
        control=control,
        log=Log("warning", process="poller"),
        chance=random.random,
        most_calls=_CALLS,
        cpu=cpu_seconds,
        token=lambda: str(uuid.uuid4()),
    )
    return PollerLoop(state, PollerSlot(map_file(anonymous_file("poller", PollerSlot.size()))))


def _timed(loop: PollerLoop) -> dict[str, float]:
    """Make every stage add up the CPU it takes."""
    spent: dict[str, float] = defaultdict(float)

    def timed(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            start = time.perf_counter()
            try:
                return method(*arguments, **named)
            finally:
                spent[name] += time.perf_counter() - start

        return run

    for actor, method in _STAGES:
        owner = getattr(loop, actor)
        setattr(owner, method, timed(f"{actor}.{method}", getattr(owner, method)))
    return spent


def _drive(loop: PollerLoop, sqs: PlayedSqs, until: float) -> int:
    """The loop as PollerLoop.run has it, and the played SQS beside it; returns its turns."""
    turns = 0
    while (at := now()) < until:
        wait = loop.step(at)
        loop.wait(min(wait, sqs.ring(now()), until - at))
        turns += 1
    return turns


def measure(arguments: argparse.Namespace) -> None:
    """Prints one table."""
    queue = QueueSettings(name="bench", handler="benchmarks.poller:handle", url="https://x", polls=arguments.polls)
    settings = Settings(name="bench", queues=(queue,), paths=(str(_ROOT),))
    sqs = PlayedSqs(arguments.bytes, arguments.round_trip)
    supervisor, ours = pair()  # nobody speaks on it, but at its end the poller would drain
    loop = _loop(settings, sqs, Channel(ours))
    handlers = [HandlerProcess(settings, uid) for uid in range(1, arguments.handlers + 1)]
    try:
        for handler in handlers:
            handler.attach(loop)
        _drive(loop, sqs, now() + 1.0)
        spent = _timed(loop) if arguments.stages else {}
        profile = cProfile.Profile() if arguments.profile else None
        ledger, counts = loop._state.ledger, dict(loop._state.ledger.counts)
        cpu, calls, theirs = time.process_time(), sqs.calls, [handler.cpu() for handler in handlers]
        start = now()
        if profile is not None:
            profile.enable()
        turns = _drive(loop, sqs, start + arguments.seconds)
        if profile is not None:
            profile.disable()
            profile.dump_stats(arguments.profile)
        took, cpu, calls = now() - start, time.process_time() - cpu, sqs.calls - calls
        done = ledger.counts["deleted"] - counts["deleted"]
        handling = sum(handler.cpu() - before for handler, before in zip(handlers, theirs, strict=True))
    finally:
        for handler in handlers:
            handler.close()
        supervisor.close()
    resident = psutil.Process().memory_info().rss / 2**20
    print(
        f"{done / took:>10,.0f} messages/s   {done * arguments.bytes / took / 1e6:,.1f} MB/s   "
        f"{calls / max(1, done):.3f} calls/message   {done / max(1, turns):.1f} messages/turn   {resident:.0f} MiB"
    )
    print(
        f"{cpu / done * 1e6:>10.2f} us CPU/message: poller    {handling / done * 1e6:.2f}: handlers    "
        f"{(cpu + handling) / done * 1e6:.2f}: both"
    )
    for name, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"{seconds / done * 1e6:>10.2f} us/message: {name}")


def main() -> None:
    """Reads the arguments, and measures."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.poller",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="to measure (default: %(default)s)")
    parser.add_argument("--handlers", type=int, default=2, help="processes (default: %(default)s)")
    parser.add_argument("--bytes", type=int, default=1024, help="of a body (default: %(default)s)")
    parser.add_argument("--polls", type=int, default=32, help="long polls at most (default: %(default)s)")
    parser.add_argument("--round-trip", type=float, default=0.0, help="seconds of a call (default: %(default)s)")
    parser.add_argument("--stages", action="store_true", help="what each actor takes")
    parser.add_argument("--profile", metavar="FILE", help="write a cProfile file")
    arguments = parser.parse_args()
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores; {arguments}")
    measure(arguments)


if __name__ == "__main__":
    main()
