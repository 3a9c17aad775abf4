"""Command line: finds the command, gives it its arguments, and turns its end into an exit code.

Only the chosen command's module is imported, so that `worker status` does not wait for what `worker demo` needs.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from worker.cli import exits

#: Command, its module, and what it does. A module has `EPILOG`, `add_arguments(parser)` and `run(args) -> int`.
COMMANDS = {
    "run": ("worker.cli.run", "run the pool in the foreground: the main job"),
    "check": ("worker.cli.check", "validate a config offline, and import its handler functions"),
    "init": ("worker.cli.init", "write a first handler, its config and its test"),
    "dev": ("worker.cli.dev", "run any config against an embedded SQS: no AWS account needed"),
    "demo": ("worker.cli.demo", "see the pool handle thousands of messages on this machine"),
    "tune": ("worker.cli.tune", "try settings on your handlers, and recommend a config"),
    "status": ("worker.cli.status", "show what a running pool does"),
    "scale": ("worker.cli.requests", "change the number of handlers of a queue"),
    "drain": ("worker.cli.requests", "finish what is held, then stop"),
    "reload": ("worker.cli.requests", "read the config again and replace all processes, without a gap"),
    "pause": ("worker.cli.requests", "receive nothing more, finish what is held, and wait"),
    "resume": ("worker.cli.requests", "receive again after a pause"),
    "stacks": ("worker.cli.requests", "show where every process is in its code"),
    "sqs-server": ("worker.cli.sqs_server", "serve the embedded SQS for development and tests"),
}

_DESCRIPTION = "Runs Amazon SQS consumers: a supervisor with pollers that hold leases and handlers that run your code."
_EXAMPLES = """\
first steps:
  worker demo                          everything at work, on this machine
  worker init shop && cd shop          a first handler of your own
  worker dev --send '{"total": 1}'     run it against an embedded SQS
  worker run --config worker.toml      the main job, with AWS

"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(words)
    except SystemExit as end:  # argparse, after --help, --version or a complaint
        return end.code if isinstance(end.code, int) else exits.OK
    except exits.Quit as end:
        print(end, file=sys.stderr)
        return end.code
    except KeyboardInterrupt:
        return 128 + 2  # as a shell reports a command that SIGINT ended
    except BrokenPipeError:
        # `worker status | head`: nobody reads on. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13


def _run(words: list[str]) -> int:
    parser = _parser(chosen=words[0] if words else "")
    args = parser.parse_args(words)
    if not args.command:
        parser.print_help()
        sys.stdout.flush()
        return exits.OK
    code = int(importlib.import_module(COMMANDS[args.command][0]).run(args))
    sys.stdout.flush()  # a reader that has left is noticed here, not in the interpreter's last moments
    return code


def _parser(*, chosen: str) -> argparse.ArgumentParser:
    """The parser of all commands, with the arguments of the chosen one only."""
    # The list is ours: argparse would break the line of the longest name.
    listed = "".join(f"  {name:11} {summary}\n" for name, (_, summary) in COMMANDS.items())
    parser = _Parser(
        prog="worker",
        usage="worker COMMAND [options]",
        description=_DESCRIPTION,
        epilog=f"commands (each has --help, with examples):\n{listed}\n{_EXAMPLES}{exits.EPILOG}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", help=argparse.SUPPRESS, prog="worker")
    for name, (module_name, summary) in COMMANDS.items():
        command = commands.add_parser(
            name,
            description=summary[0].upper() + summary[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == chosen:
            module = importlib.import_module(module_name)
            command.epilog = module.EPILOG if isinstance(module.EPILOG, str) else module.EPILOG[name]
            module.add_arguments(command)
    return parser


class _Parser(argparse.ArgumentParser):
    """argparse with the exit code of sysexits(3), since 2 says nothing to systemd and its kin."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(exits.USAGE, f"{self.prog}: {message}; `{self.prog} --help` shows examples\n")


def _version() -> str:
    from worker import __version__

    return f"worker {__version__}"
