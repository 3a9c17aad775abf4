"""Command line: `worker dev`: any config, run against an embedded SQS whose queues are made from it."""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from worker.cli import exits
from worker.cli.local_queues import LocalQueue, local_queues, overrides
from worker.cli.options import Configuration, add_config, add_log_level, load_or_quit

if TYPE_CHECKING:
    from worker.cli.pool_process import PoolProcess

EPILOG = """\
examples:
  worker dev                                     the config is worker.toml here
  worker dev --send '{"id": 1}' --send '{"id": 2}'
  worker dev --messages examples.jsonl --to orders
  worker dev --queue EventQueue                  make a queue that the application forwards to

Every queue of the config is made, with a dead-letter queue of maxReceiveCount 5. Nothing reaches AWS: the pool gets
credentials that belong to nobody, and the embedded SQS as AWS_ENDPOINT_URL_SQS (and as AWS_ENDPOINT_URL, unless that
is set). All is in memory, and gone after Ctrl-C.
"""
#: Where a .env written for LocalStack looks; another port is taken if this one is busy and none was asked for.
_PORT = 4566
#: Signals that `worker run` understands, and so does the pool of `worker dev`.
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGTTIN, signal.SIGTTOU)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `worker dev`."""
    add_config(parser)
    add_log_level(parser)
    parser.add_argument(
        "--port", type=int, help=f"of the embedded SQS, 0: any (default: {_PORT}, or any if it is taken)"
    )
    parser.add_argument(
        "--send", action="append", default=[], metavar="BODY", help="send this message; may be repeated"
    )
    parser.add_argument("--messages", metavar="FILE", help="send every line of the file as a message; - is stdin")
    parser.add_argument("--to", metavar="TABLE", help="the [queues.TABLE] to send to (default: the first one)")
    parser.add_argument("--queue", action="append", default=[], metavar="NAME", help="make this queue as well")


def run(args: argparse.Namespace) -> int:
    """Start the embedded SQS, make the queues, send, and run the pool until Ctrl-C; its exit code."""
    settings = load_or_quit(Configuration(args))
    queues = local_queues(settings)
    target = _target(args.to, queues)
    bodies = list(_bodies(args))
    from worker.cli.embedded import embedded_sqs, environment
    from worker.cli.pool_process import PoolProcess

    with embedded_sqs(port=_port(args.port)) as server:
        urls = _provision(server.url, queues, more=args.queue, target=target, bodies=bodies)
        # Ours come last: a later --set wins.
        sets = [f"{'.'.join(one.path)}={one.text}" for one in args.set] + overrides(queues, urls, endpoint=server.url)
        if args.log_level:
            sets.append(f"worker.log_level={args.log_level}")
        _explain(server.url, urls[target.name], fifo=target.name.endswith(".fifo"), count=len(bodies))
        pool = PoolProcess(settings.config, environ=environment(server.url), sets=sets, log=None)
        return _foreground(pool)


def _foreground(pool: PoolProcess) -> int:
    """Run the pool as if it stood in our place: signals go to it, and its exit code is ours."""

    def forward(number: int, _: FrameType | None) -> None:
        pool.forward(number)

    with pool:
        for number in _FORWARDED:
            signal.signal(number, forward)
        return pool.wait()


def _target(table: str | None, queues: list[LocalQueue]) -> LocalQueue:
    """The queue to send to."""
    for queue in queues:
        if table in (None, queue.table):
            return queue
    known = ", ".join(queue.table for queue in queues)
    raise exits.Quit(exits.USAGE, f"--to {table}: the config has no such [queues.*] table; there are: {known}")


def _bodies(args: argparse.Namespace) -> Iterator[str]:
    yield from args.send
    if not args.messages:
        return
    try:
        text = sys.stdin.read() if args.messages == "-" else Path(args.messages).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise exits.Quit(exits.USAGE, f"--messages {args.messages}: {reason}") from None
    yield from (line for line in text.splitlines() if line.strip())


def _provision(
    endpoint: str, queues: list[LocalQueue], *, more: list[str], target: LocalQueue, bodies: list[str]
) -> dict[str, str]:
    """Make the queues and send the messages; the URLs by name."""
    from worker.aws.provision import NotProvisioned, Provisioner, QueuePlan, Sending
    from worker.cli.embedded import REGION

    plans = [QueuePlan(name=queue.name, dead_letter=queue.dead_letter) for queue in queues]
    plans += [QueuePlan(name=name) for name in more]
    fifo = target.name.endswith(".fifo")
    messages = [
        Sending(body=body, group_id="dev", deduplication_id=str(place)) if fifo else Sending(body=body)
        for place, body in enumerate(bodies)
    ]
    provisioner = Provisioner(endpoint, region=REGION)
    try:
        urls = provisioner.make(plans)
        for _ in provisioner.send(urls[target.name], messages):
            pass
    except NotProvisioned as error:
        raise exits.Quit(exits.UNAVAILABLE, str(error)) from None
    finally:
        provisioner.close()
    return urls


def _port(asked: int | None) -> int:
    """The port asked for; else the usual one if it is free, else any."""
    if asked is not None:
        return asked
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", _PORT))
        except OSError:
            return 0
    return _PORT


def _explain(endpoint: str, url: str, *, fifo: bool, count: int) -> None:
    """How to send a message from another terminal."""
    from worker.cli.embedded import CREDENTIALS, REGION

    variables = " ".join(f"{name}={value}" for name, value in {**CREDENTIALS, "AWS_DEFAULT_REGION": REGION}.items())
    body = json.dumps({"id": 1})
    group = " --message-group-id dev" if fifo else ""
    python_group = ', MessageGroupId="dev"' if fifo else ""
    if count:
        print(f"sent {count} {'message' if count == 1 else 'messages'} to {url}")
    print(f"embedded SQS at {endpoint}; Ctrl-C stops everything. Send a message from another terminal:\n")
    print(
        f"  {variables} aws --endpoint-url {endpoint} sqs send-message --queue-url {url}{group} "
        f"--message-body {shlex.quote(body)}\n"
    )
    code = (
        f'import boto3; boto3.client("sqs", endpoint_url="{endpoint}")'
        f'.send_message(QueueUrl="{url}"{python_group}, MessageBody="{{}}")'
    )
    print(f"  {variables} python -c {shlex.quote(code)}\n", flush=True)
