"""Command line: `worker run`. From here on this process is the supervisor."""

from __future__ import annotations

import argparse

from worker import platform
from worker.cli.options import Configuration, add_config, add_log_level, load_or_quit
from worker.settings import Settings, until_empty
from worker.telemetry import Log

EPILOG = """\
examples:
  worker run --config worker.toml
  worker run --config apps/message_status/worker.toml --env-file .env
  worker run --set queues.orders.handlers=2 --log-level debug
  worker run --until-empty                      for cron: ends by itself when all queues are empty

signals:
  TERM, INT   drain: finish what is held, then exit 0; a second one hurries
  HUP         read the config again and replace all processes, without a gap
  TTIN, TTOU  one handler more or less in every queue
  TSTP, CONT  pause and resume receiving
  USR1        state and stacks to the log

--until-empty waits for what is hidden, delayed, or in flight at other consumers as well; `worker status` says what for.

exit codes: 0 drained, 70 every queue gave up, 75 settlements left unconfirmed, 78 the config is wrong
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `worker run`."""
    add_config(parser)
    add_log_level(parser)
    parser.add_argument(
        "--until-empty",
        action="store_true",
        help="drain and exit once every queue is empty: nothing visible, in flight, hidden or delayed",
    )
    # For `worker dev` and `worker demo`: die with the process of that number.
    parser.add_argument("--parent", type=int, default=0, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Read the config and supervise. A config that is wrong ends here, with every problem on standard error."""
    if args.parent:
        platform.die_with_parent(args.parent)
    configuration = Configuration(args)
    settings = load_or_quit(configuration)
    log = Log(settings.log_level, process="supervisor")
    for warning in configuration.warnings():
        log.warning("env_file_open", reason=warning)
    log.close()
    as_told = until_empty if args.until_empty else _as_it_is
    from worker.supervisor import run as supervise  # only now: `worker run` with a wrong config starts nothing

    return supervise(as_told(settings), reload=lambda: as_told(configuration.load()))


def _as_it_is(settings: Settings) -> Settings:
    return settings
