"""Command line: what a chaos run is to be."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

_ABOUT = """\
Kills, stops and starves the processes of a pool while messages flow through a bad network and a bad broker, then drains
it, empties the queue, and judges by what producer, SQS server and handler functions wrote down. Linux only; as root it
also takes memory and disk away. Ends with 0 if nothing was lost and everything else is explained, else with 1.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a run is to be."""

    folder: Path
    seconds: float = 60.0
    kills: float = 3.0  #: SIGKILLs a second
    others: float = 1.0  #: other faults a second
    fifo: bool = False
    rate: float = 1000.0  #: messages a second; 0: as fast as they are handled
    messages: int = 2**62
    work: int = 3  #: milliseconds that most messages take, at most
    seed: int = 1
    naive: str = ""  #: "early" or "late": the naive loop in place of the worker
    handlers: int = 3
    long: bool = True  #: whether there is a part with long messages
    singles: int = 8  #: kills of handlers that come alone, after the storm; half as many of pollers
    plain_logs: bool = False
    mutant: str = ""  #: the name of a bug that is put into every process of the pool


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """What was given; argparse ends the program where it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m chaos", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--seconds", type=float, default=60.0, help="of storm (default: %(default)s)")
    add("--kills-per-second", type=float, default=3.0, help="SIGKILLs (default: %(default)s)")
    add("--faults-per-second", type=float, default=1.0, help="other faults (default: %(default)s)")
    add("--queue", choices=("standard", "fifo"), default="standard", help="its kind (default: %(default)s)")
    add("--rate", type=float, default=1000.0, help="messages a second, 0: as fast as handled (default: %(default)s)")
    add("--messages", type=int, default=2**62, help="at most (default: what the rate gives)")
    add("--work", type=int, default=3, metavar="MS", help="that most messages take, at most (default: %(default)s)")
    add("--handlers", type=int, default=3, help="handler processes (default: %(default)s)")
    add("--seed", type=int, default=1, help="of the storm and the messages (default: %(default)s)")
    naive = "a boto3 loop in place of the pool: it deletes before it works (early, the default), or extends no lease"
    add("--naive", nargs="?", const="early", choices=("early", "late"), help=naive)
    singles = "kills of handlers one by one, and half as many of pollers, for the times (default: %(default)s)"
    add("--singles", type=int, default=8, metavar="N", help=singles)
    add("--no-long", action="store_true", help="leave out the part with messages longer than their lease")
    add("--plain-logs", action="store_true", help="the pool's output goes to a file, never to a full disk or pipe")
    add("--logs", type=Path, metavar="FOLDER", help="keep the logs there (default: only if the verdict is bad)")
    add("--json", type=Path, metavar="FILE", help="write the result there as well")
    given = parser.parse_args(arguments)
    if given.logs is not None and given.logs.exists() and any(given.logs.iterdir()):
        parser.error(f"{given.logs} is not empty: the logs of two runs must not mix")
    return given


def options(given: argparse.Namespace, folder: Path) -> Options:
    """The options of a run that leaves its logs in `folder`."""
    return Options(
        folder=folder,
        seconds=given.seconds,
        kills=given.kills_per_second,
        others=given.faults_per_second,
        fifo=given.queue == "fifo",
        rate=given.rate,
        messages=given.messages,
        work=given.work,
        seed=given.seed,
        naive=given.naive or "",
        handlers=given.handlers,
        long=not given.no_long,
        singles=given.singles,
        plain_logs=given.plain_logs,
    )
