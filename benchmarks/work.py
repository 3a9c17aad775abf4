"""Handler process: what every contender does with a message: nothing, some Python, or a wait; and tells of it if asked.

    python -m benchmarks.work SECONDS      runs it without any queue, for the ceiling of `cpu_bound`

A body is `ID NANOSECONDS PADDING`; the environment says what to do: BENCH_WORK is noop, spin or pause, BENCH_SPIN the
iterations of a spin, BENCH_PAUSE the seconds of a pause, BENCH_EFFECTS a file that takes a line for each start and each
end. Rivals import this file in environments of their own, so it imports nothing that is not Python's.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable

#: Nanoseconds of the clock that the SQS server's event log has, too.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def stamp() -> int:
    """Now, in nanoseconds."""
    return time.clock_gettime_ns(_CLOCK)


def spin(iterations: int) -> int:
    """Python that holds the interpreter: about 25 ns an iteration."""
    total = 0
    for number in range(iterations):
        total += number & 7
    return total


def payload(number: int, size: int) -> str:
    """A body of `size` bytes: its number, its moment, and padding that no compression on the way could shorten much."""
    head = f"{number} {stamp()} "
    return head + ("x" * max(0, size - len(head)))


def handler() -> Callable[[str, str], object]:
    """The work that the environment asks for, as a function of a body and of what the queue calls the message."""
    act, tell = _act(), _teller()
    if tell is None:

        def quiet(text: str, name: str = "-") -> None:
            del text, name
            act()

        return quiet

    def told(text: str, name: str = "-") -> None:
        number = text.split(" ", 1)[0]
        tell("start", number, name)
        act()
        tell("end", number, name)

    return told


def async_handler() -> Callable[[str, str], Awaitable[None]]:
    """The same for an event loop: a pause does not hold it."""
    kind, seconds = _kind(), float(os.environ.get("BENCH_PAUSE", "0"))
    act, tell = _act(), _teller()

    async def work(text: str, name: str = "-") -> None:
        number = text.split(" ", 1)[0]
        if tell is not None:
            tell("start", number, name)
        if kind == "pause":
            await asyncio.sleep(seconds)
        else:
            act()
        if tell is not None:
            tell("end", number, name)

    return work


def _kind() -> str:
    return os.environ.get("BENCH_WORK", "noop")


def _act() -> Callable[[], object]:
    kind = _kind()
    if kind == "spin":
        iterations = int(os.environ["BENCH_SPIN"])
        return lambda: spin(iterations)
    if kind == "pause":
        seconds = float(os.environ["BENCH_PAUSE"])
        return lambda: time.sleep(seconds)
    return lambda: None


def _teller() -> Callable[[str, str, str], object] | None:
    path = os.environ.get("BENCH_EFFECTS")
    if not path:
        return None
    # One write a line: with O_APPEND a line is whole or absent, whoever dies.
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    return lambda step, number, name: os.write(file, f"{step} {number} {stamp()} {os.getpid()} {name}\n".encode())


def main() -> None:
    """Work for so many seconds; prints how often, and the CPU seconds it took."""
    act, begin, count = _act(), time.perf_counter(), 0
    before, end = time.process_time(), time.perf_counter() + float(sys.argv[1])
    while time.perf_counter() < end:
        act()
        count += 1
    print(json.dumps([count / (time.perf_counter() - begin), time.process_time() - before, count]))


if __name__ == "__main__":
    main()
