"""Command line: `worker dev`: any config, run against an embedded SQS whose queues are made from it."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from worker.cli import exits
from worker.cli.local_queues import LocalQueue, local_queues, overrides
from worker.cli.options import Configuration, add_config, add_log_level, load_or_quit

if TYPE_CHECKING:
    from worker.aws.provision import Provisioner

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
    parser.add_argument("--port", type=int, help=f"of the embedded SQS, 0: any (default: {_PORT}, or any if it is taken)")
    parser.add_argument("--send", action="append", default=[], metavar="BODY", help="send this message; may be repeated")
    parser.add_argument("--messages", metavar="FILE", help="send every line of the file as a message; - is stdin")
    parser.add_argument("--to", metavar="TABLE", help="the [queues.TABLE] to send to (default: the first one)")
    parser.add_argument("--queue", action="append", default=[], metavar="NAME", help="make this queue as well")


def run(args: argparse.Namespace) -> int:
    """Start the embedded SQS, make the queues, send, and run the pool until Ctrl-C; its exit code."""
    settings = load_or_quit(Configuration(args))
    queues = local_queues(settings)
    target = _target(args.to, queues)
    bodies = list(_bodies(args))
    from worker.aws.provision import NotProvisioned, Provisioner, QueuePlan
    from worker.cli.embedded import REGION, embedded_sqs, environment
    from worker.cli.pool_process import PoolProcess

    with embedded_sqs(port=_free_port(args.port)) as server:
        provisioner = Provisioner(server.url, region=settings.region or REGION)
        try:
            urls = provisioner.make([queue.plan for queue in queues] + [QueuePlan(name=name) for name in args.queue])
            _send(provisioner, target, bodies, url=urls[target.plan.name])
        except NotProvisioned as error:
            raise exits.Quit(exits.UNAVAILABLE, str(error)) from None
        finally:
            provisioner.close()
        sets = overrides(queues, urls, endpoint=server.url)
        if args.log_level:
            sets.append(f"worker.log_level={args.log_level}")
        sets += [f"{'.'.join(one.path)}={one.text}" for one in args.set if not _replaced(one.path)]
        _explain(server.url, queues, target, urls=urls)
        pool = PoolProcess(settings.config, environ=environment(server.url), sets=sets, log=None)
        return _foreground(pool)


def _foreground(pool: object) -> int:
    raise AssertionError(pool)
