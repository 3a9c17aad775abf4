"""Command line: `worker check`: everything that is wrong with a config, without a word to AWS."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from worker.cli import exits
from worker.cli.options import Configuration, add_config, add_json
from worker.cli.trial import try_import
from worker.config import ConfigError, Problem
from worker.settings import QueueSettings, Settings, to_json

EPILOG = """\
examples:
  worker check --config worker.toml
  worker check --config worker.toml --env-file .env --json | jq .problems

Each handler function is imported in a process of its own. Exit code 78 on any fault, else 0.
All keys: docs/configuration.md; in short:

"""

_HEADINGS = (
    "queue",
    "handler",
    "takes from",
    "handlers",
    "at once",
    "pollers",
    "wait",
    "visibility",
    "timeout",
    "retry",
    "dead letters",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `worker check`."""
    from worker.config.reference import summary

    parser.epilog = EPILOG + summary()
    add_config(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Validate, import, and say what a run would use."""
    settings: Settings | None = None
    problems: tuple[Problem, ...] = ()
    configuration = Configuration(args)
    try:
        settings = configuration.load()
        for warning in configuration.warnings():
            print(f"warning: {warning}", file=sys.stderr)
        problems = tuple(try_import(settings))
    except ConfigError as error:
        problems = error.problems
    if args.json:
        print(json.dumps(_as_json(settings, problems)))
    elif problems:
        print("\n".join(map(str, problems)), file=sys.stderr)
        print(f"{len(problems)} {'fault' if len(problems) == 1 else 'faults'}", file=sys.stderr)
    elif settings is not None:
        _show(settings)
    return exits.CONFIG if problems else exits.OK


def _as_json(settings: Settings | None, problems: tuple[Problem, ...]) -> dict[str, Any]:
    fields = ("file", "line", "table", "key", "text")
    return {
        "ok": not problems,
        "problems": [{name: getattr(problem, name) for name in fields} for problem in problems],
        "settings": to_json(settings) if settings else None,
    }


def _show(settings: Settings) -> None:
    rows = [_row(queue) for queue in settings.queues]
    for name in settings.left_out:
        print(f"left out: {name}, by its `when`")
    if sys.stdout.isatty():
        from worker.cli.tables import show, table

        show(table(_HEADINGS, rows, title=f"ok: {settings.name} ({settings.config})"))
        return
    for row in rows:
        print(
            "ok",
            *(
                f"{heading.replace(' ', '_')}={cell.replace(' ', '')}"
                for heading, cell in zip(_HEADINGS, row, strict=True)
            ),
        )


def _row(queue: QueueSettings) -> tuple[str, ...]:
    wait = f"{queue.wait:g} s" + (f" + {queue.pause:g} s" if queue.pause else "")
    return (
        queue.name,
        queue.handler,
        queue.url or queue.queue_name or f"ssm:{queue.ssm}",
        str(queue.handlers),
        _at_once(queue),
        str(queue.pollers),
        wait,
        f"{queue.visibility_timeout:g} s",
        f"{queue.handler_timeout:g} s",
        f"{queue.retry.first:g} to {queue.retry.most:g} s",
        queue.dead_letter or "redrive policy",
    )


def _at_once(queue: QueueSettings) -> str:
    """What one handler process runs at once, in words."""
    calls = (
        f"{queue.concurrency} async" if queue.concurrency else f"{queue.threads} threads" if queue.threads > 1 else "1"
    )
    return calls if queue.batch.size == 1 else f"{calls} x {queue.batch.size}"
