"""Every process: the logs that the oracle reads, one line a record, each written by one kind of process.

| log | written by | a line |
|---|---|---|
| producer | the producer | id group seq outcome message_id ns |
| effects | handler functions, one `write` a line | step id message_id attempt pid ns |
| faults | the storm | a JSON object: kind, role, pid, victims, begin, end, detail |
| polls | the fault proxy: the first receive of each connection | connection accepted received |
| broker | the SQS server | its event log, see worker.testing.sqs_server.events |

All times are nanoseconds of the clock that `stamp` reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from worker import platform

#: The environment variable that names the file of the effects.
EFFECTS = "CHAOS_EFFECTS"


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that the producer tried to send."""

    id: int
    group: str  #: "-" on a standard queue
    seq: int  #: its place in its group, as sent
    outcome: str  #: "ok", or "unknown" where nothing or a failure came back: it may be in the queue all the same
    message_id: str  #: "-" if unknown
    ns: int  #: when its request was answered, or given up


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a handler function: "start", "end" (the effect), or "eat" (it takes memory until it is killed).

    "boot", of no message, is where a process begins.
    """

    step: str
    id: int
    message_id: str
    attempt: int
    pid: int
    ns: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that was done to the pool, from `begin` to `end`."""

    kind: str  #: kill, stop, squeeze, network, broker, reload, memory
    role: str  #: handler, poller, supervisor, tree, or what was hit instead of a process
    pid: int
    begin: int
    end: int
    victims: tuple[int, ...] = ()  #: processes that die or stand still with the one that was hit
    detail: str = ""

    def hits(self, pid: int) -> bool:
        """Whether that process was hit."""
        return pid == self.pid or pid in self.victims


@dataclass(frozen=True, slots=True)
class Poll:
    """The first receive on a connection."""

    accepted: int
    received: int


@dataclass(frozen=True, slots=True)
class Drain:
    """A pool was told to stop, and ended with this exit code."""

    begin: int
    end: int
    code: int


def stamp() -> int:
    """Nanoseconds of the clock that the SQS server's event log uses too."""
    return int(platform.now() * 1e9)


def sent_line(sent: Sent) -> str:
    """A line of the producer's log."""
    return f"{sent.id} {sent.group} {sent.seq} {sent.outcome} {sent.message_id} {sent.ns}\n"


def fault_line(fault: Fault) -> bytes:
    """A line of the log of faults."""
    return orjson.dumps(asdict(fault), option=orjson.OPT_APPEND_NEWLINE)


def read_sent(path: Path) -> Iterator[Sent]:
    """The producer's log."""
    for line in _whole_lines(path):
        row = line.split()
        yield Sent(int(row[0]), row[1], int(row[2]), row[3], row[4], int(row[5]))


def read_steps(path: Path) -> Iterator[Step]:
    """The effects, as they were written: in order for each process."""
    for line in _whole_lines(path):
        row = line.split()
        yield Step(row[0], int(row[1]), row[2], int(row[3]), int(row[4]), int(row[5]))


def read_faults(path: Path) -> list[Fault]:
    """The faults, by their beginning."""
    rows = (orjson.loads(line) for line in _whole_lines(path))
    faults = [Fault(**row | {"victims": tuple(row["victims"])}) for row in rows]
    return sorted(faults, key=lambda fault: fault.begin)


def read_polls(path: Path) -> list[Poll]:
    """The first receives, by their time."""
    rows = (line.split() for line in _whole_lines(path))
    return sorted((Poll(int(row[1]), int(row[2])) for row in rows), key=lambda poll: poll.received)


def read_broker(path: Path) -> Iterator[dict[str, Any]]:
    """The events of the SQS server, one by one: a long run leaves gigabytes."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield orjson.loads(line)


def _whole_lines(path: Path) -> Iterator[str]:
    """Lines with their line feed: whoever was killed while writing the last one has not written it."""
    if not path.exists():
        return
    with path.open() as file:
        for line in file:
            if line.endswith("\n"):
                yield line
