"""SQS server process: its command line, its start, and its end."""

import argparse
import asyncio
import errno
import gc
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import orjson

from worker import platform
from worker.testing.sqs_server.broker import Broker, Options
from worker.testing.sqs_server.events import EventLog
from worker.testing.sqs_server.ids import Ids
from worker.testing.sqs_server.limits import IN_FLIGHT
from worker.testing.sqs_server.server import ServerSettings, SqsServer
from worker.testing.sqs_server.service import Service

#: Exit code of a configuration that cannot work (sysexits.h), here a port that is taken.
_BAD_CONFIG = 78


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the server's options to a parser; `run` takes what it parsed."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=4566, help="port to listen on, 0: any (default: %(default)s)")
    parser.add_argument("--url-host", default="", help="host of queue URLs (default: localhost)")
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS", help="added to every answer")
    parser.add_argument(
        "--events", nargs="?", const="", metavar="FILE", help="keep an event log, in FILE too if it is given"
    )
    parser.add_argument("--in-flight-limit", type=int, default=IN_FLIGHT, help="messages (default: %(default)s)")
    parser.add_argument(
        "--no-cooldowns",
        action="store_true",
        help="recreate a deleted queue, and purge twice, without the 60 seconds that SQS demands",
    )
    parser.add_argument(
        "--strict-visibility",
        action="store_true",
        help="MessageNotInflight on standard queues too, where SQS answers success without effect",
    )
    parser.add_argument(
        "--drop-orphan-polls",
        action="store_true",
        help="give no messages to a long poll whose client has gone, as SQS does for a while",
    )
    parser.add_argument("--seed", default="", help="ids and fault chances repeat for the same seed")
    parser.add_argument("--ready", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--parent", type=int, default=0, help=argparse.SUPPRESS)


def wall_clock() -> Callable[[], float]:
    """Seconds since 1970 that never jump: the wall clock once, then the monotonic one."""
    offset = time.time() - time.monotonic()
    return lambda: time.monotonic() + offset


def run(arguments: argparse.Namespace) -> int:
    """Serves until SIGTERM or SIGINT; returns the exit code."""
    if arguments.parent:
        platform.die_with_parent(arguments.parent)
    try:
        asyncio.run(_serve(arguments))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        sys.stderr.write(f"sqs-server: port {arguments.port} on {arguments.host} is taken by another process\n")
        return _BAD_CONFIG
    except KeyboardInterrupt:
        return 0
    return 0


async def _serve(arguments: argparse.Namespace) -> None:
    # Messages make no cycles: looking for garbage among 200,000 of them costs a third of the throughput.
    gc.freeze()
    gc.set_threshold(200_000, 50, 1_000)
    seed = arguments.seed or os.urandom(16).hex()
    chance = random.Random(seed)  # noqa: S311 - faults that repeat, not secrets
    sink = Path(arguments.events).open("ab") if arguments.events else None  # noqa: SIM115 - closed below
    events = EventLog(_stamp, sink=sink) if arguments.events is not None else None
    options = Options(
        in_flight_limit=arguments.in_flight_limit,
        cooldowns=not arguments.no_cooldowns,
        strict_visibility=arguments.strict_visibility,
    )
    broker = Broker(Ids(seed), options=options, events=events)
    service = Service(broker, clock=wall_clock(), chance=chance.random)
    settings = ServerSettings(
        host=arguments.host,
        port=arguments.port,
        url_host=arguments.url_host,
        latency=arguments.latency,
        orphan_polls=not arguments.drop_orphan_polls,
    )
    server = SqsServer(service, settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await server.start()
    if arguments.ready:
        sys.stdout.write(
            orjson.dumps({"url": f"http://{arguments.host}:{server.port}", "pid": os.getpid()}).decode() + "\n"
        )
        sys.stdout.flush()
        loop.add_reader(0, _watch_stdin, stop)
    else:
        sys.stderr.write(f"sqs-server: listening on {server.url} (account 000000000000)\n")
    await stop.wait()
    await server.close()
    if sink is not None:
        sink.close()


def _stamp() -> int:
    return int(platform.now() * 1e9)


def _watch_stdin(stop: asyncio.Event) -> None:
    """Standard input is a pipe from the parent: its end is the parent's."""
    if not os.read(0, 65536):
        asyncio.get_running_loop().remove_reader(0)
        stop.set()


def main() -> int:
    """The command line of `python -m worker.testing.sqs_server`."""
    parser = argparse.ArgumentParser(prog="sqs-server", description="A strict Amazon SQS on loopback, for tests.")
    add_arguments(parser)
    return run(parser.parse_args())
