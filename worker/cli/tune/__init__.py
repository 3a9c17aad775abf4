"""Command line: `worker tune`: tries settings on a user's own handler functions, and recommends a [queues.*] table."""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
from pathlib import Path

from worker.cli import exits
from worker.cli.options import Configuration, add_config, add_json, load_or_quit
from worker.settings import QueueSettings, Settings

EPILOG = """\
examples:
  worker tune                                     the first queue of worker.toml, synthetic messages, two minutes
  worker tune --queue orders --messages examples.jsonl --budget 5m
  worker tune --latency 0.02 --chart tune.png     an SQS that is 20 ms away

Each trial is a pool with other settings on an embedded SQS with a full queue. The handler functions run for real, with
all they do to databases and other services: give them an environment in which that may happen. The real queue is never
touched, unless --queue-url names one.
"""
_BUDGET = re.compile(r"(\d+(?:\.\d+)?)(s|m|)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `worker tune`."""
    add_config(parser)
    add_json(parser)
    parser.add_argument("--queue", metavar="TABLE", help="which [queues.TABLE] to tune (default: the first one)")
    parser.add_argument("--messages", metavar="FILE", help="bodies, one a line, used in turn (default: made-up JSON)")
    parser.add_argument("--size", type=int, default=1024, help="bytes of made-up bodies (default: %(default)s)")
    parser.add_argument("--latency", type=float, default=0.01, metavar="SECONDS", help="to SQS (default: %(default)s)")
    parser.add_argument(
        "--budget", type=_seconds, default=120.0, metavar="TIME", help="such as 90s or 5m (default: 2m)"
    )
    parser.add_argument("--chart", metavar="FILE", help="a .png or .svg (default: tune-TABLE.svg; needs matplotlib)")
    parser.add_argument("--no-chart", action="store_true", help="draw nothing")
    parser.add_argument(
        "--queue-url", metavar="URL", help="take messages from this real queue: they are handled and DELETED"
    )


def run(args: argparse.Namespace) -> int:
    """Search within the budget, then show what is recommended."""
    settings = load_or_quit(Configuration(args))
    from worker.cli.tune.candidates import space
    from worker.cli.tune.chart import NoChart, draw
    from worker.cli.tune.course import search
    from worker.cli.tune.recommendation import recommend
    from worker.cli.tune.source import choose

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a kill cleans up as Ctrl-C does
    queue = _queue(settings, args.queue)
    overrides = [f"{'.'.join(one.path)}={one.text}" for one in args.set]
    with choose(args, settings, queue) as source:
        trials = search(space(settings, queue), source, settings=settings, sets=overrides, budget=args.budget)
    advice = recommend(settings, queue, trials)
    if args.json:
        print(json.dumps(advice.to_json()))
    else:
        print("\n".join(advice.lines()))
    if not args.no_chart:
        path = Path(args.chart or f"tune-{queue.name}.svg")
        try:
            draw(advice, path)
            print(f"chart: {path}", file=sys.stderr)
        except NoChart as error:
            print(error, file=sys.stderr)
    return exits.FAILED if advice.faults else exits.OK


def _queue(settings: Settings, table: str | None) -> QueueSettings:
    for queue in settings.queues:
        if table in (None, queue.name):
            return queue
    known = ", ".join(queue.name for queue in settings.queues)
    raise exits.Quit(exits.USAGE, f"--queue {table}: the config has no such [queues.*] table; there are: {known}")


def _seconds(text: str) -> float:
    found = _BUDGET.fullmatch(text)
    seconds = float(found[1]) * (60 if found[2] == "m" else 1) if found else 0.0
    if not 5 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"expected a time from 5s to 24 hours, such as 90s or 5m, got {text!r}")
    return seconds
