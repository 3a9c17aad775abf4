"""Command line: `worker demo`: an application at work on this machine, with embedded servers, from send to summary."""

from __future__ import annotations

import argparse
import json
import signal
import sys

from worker.cli import exits
from worker.cli.options import add_json

EPILOG = """\
examples:
  worker demo                               the message status application, 5,000 messages
  worker demo --messages 20000 --handlers 4
  worker demo --json | jq .balanced

applications:
{applications}

Queues with dead-letter queues are made in an embedded SQS on loopback, the messages are sent (a few of them are broken
on purpose), and `worker run` handles them until all queues are empty. The pool is then drained, and the numbers must
balance. Applications that use more of AWS than SQS need `pip install 'worker[demo]'`: their tables, buckets and topics
are in moto's server, on loopback too. Nothing reaches AWS. The exit code is 0 where all is well.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `worker demo`."""
    from worker.cli.demo.application import listed

    parser.epilog = EPILOG.format(applications=listed())
    parser.add_argument("application", metavar="NAME", nargs="?", default="message_status", help="which application")
    parser.add_argument(
        "--messages", type=_count, help="how many to send (default: 5000; 500 where other AWS services are used)"
    )
    parser.add_argument(
        "--handlers", type=_count, help="handler processes for each queue (default: as its config says)"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Show the application; 0 if everything went well and the numbers balance, else 1 and why."""
    from worker.cli.demo.application import find
    from worker.cli.demo.show import show
    from worker.cli.demo.views import choose

    application = find(args.application)
    # A kill cleans up as Ctrl-C does: pool, server and temporary folder go.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with choose(json=args.json, terminal=sys.stdout.isatty()) as view:
        balance = show(application, messages=args.messages, handlers=args.handlers, view=view)
    faults = balance.faults()
    if args.json:
        print(json.dumps(balance.to_json()))
    else:
        print("\n".join(balance.lines()))
    for fault in faults:
        print(f"worker demo: {fault}", file=sys.stderr)
    return exits.FAILED if faults else exits.OK


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number, 1 or more, got {text!r}")
    return int(text)
