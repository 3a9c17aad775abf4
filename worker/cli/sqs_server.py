"""Command line: `worker sqs-server`. From here on this process is the SQS server."""

from __future__ import annotations

import argparse

EPILOG = """\
examples:
  worker sqs-server                    http://localhost:4566, as a .env for LocalStack expects it
  worker sqs-server --port 0           any free port; it is printed
  aws --endpoint-url http://localhost:4566 sqs create-queue --queue-name orders

The account is 000000000000, any credentials are taken, everything is kept in memory, and GET /health answers 200.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The server's own arguments."""
    from worker.testing.sqs_server import command

    command.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    from worker.testing.sqs_server import command

    return command.run(args)
