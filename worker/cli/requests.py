"""Command line: `worker scale`, `drain`, `reload`, `pause`, `resume`, `stacks`: one request each to a running pool."""

from __future__ import annotations

import argparse
import json
from typing import Any

from worker.cli.control import add_socket, ask, find_socket
from worker.cli.options import add_json

_PLACE = "the pool is found by --socket, or by the control_socket of --config\n"
EPILOG = {
    "scale": f"examples:\n  worker scale orders 8\n  worker scale orders 8 --socket run/worker.sock\n\n{_PLACE}",
    "drain": "examples:\n  worker drain --config worker.toml\n\n"
    f"The answer comes at once; the pool exits when it holds nothing.\n{_PLACE}",
    "reload": "examples:\n  worker reload --config worker.toml\n\n"
    f"A config that is wrong leaves the old one running and says why.\n{_PLACE}",
    "pause": f"examples:\n  worker pause && ./migrate && worker resume\n\n{_PLACE}",
    "resume": f"examples:\n  worker resume --config worker.toml\n\nA drain is not undone.\n{_PLACE}",
    "stacks": f"examples:\n  worker stacks --config worker.toml\n\n{_PLACE}",
}
_DONE = {
    "scale": "scaling {queue} to {handlers} handlers",
    "drain": "draining; the pool exits when it holds nothing",
    "reload": "reloading; `worker status` shows when it is done",
    "pause": "paused; `worker resume` goes on",
    "resume": "receiving again",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of each of these commands."""
    if parser.prog.endswith(" scale"):
        parser.add_argument("queue", help="the name of its [queues.NAME] table")
        parser.add_argument("handlers", type=_count, help="handler processes from now on")
    add_socket(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Send the request and show its answer."""
    request: dict[str, Any] = {"verb": args.command}
    if args.command == "scale":
        request |= {"queue": args.queue, "handlers": args.handlers}
    answer = ask(find_socket(args), request)
    if args.json:
        print(json.dumps(answer))
    elif args.command == "stacks":
        print(_stacks(answer))
    else:
        print(_DONE[args.command].format(**request))
    return 0


def _stacks(answer: dict[str, Any]) -> str:
    """The stacks of all processes, a heading each."""
    parts = []
    for process in answer["stacks"]:
        about = " ".join(f"{name}={value}" for name, value in process.items() if name != "text")
        parts.append(f"== {about}\n{process['text'].rstrip() or '(no answer: it is stopped, dead, or booting)'}\n")
    return "\n".join(parts)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of handlers, 1 or more, got {text!r}")
    return int(text)
