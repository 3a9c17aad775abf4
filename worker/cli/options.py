"""Command line: options that several commands share, and reading the config that they name."""

from __future__ import annotations

import argparse
import os
from collections.abc import MutableMapping
from pathlib import Path

from worker.cli import exits
from worker.config import ConfigError, Override, load, parse_override
from worker.config.environment import read_env_lines
from worker.settings import Settings
from worker.telemetry import LEVELS


def add_config(parser: argparse.ArgumentParser) -> None:
    """`--config`, `--env-file` and `--set`."""
    parser.add_argument(
        "--config", default="worker.toml", metavar="FILE", help="the config file (default: worker.toml here)"
    )
    parser.add_argument(
        "--env-file", metavar="FILE", help="read NAME=text lines first; what the environment has already stays"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=_override,
        metavar="TABLE.KEY=VALUE",
        help="put one key in place of the file's, such as queues.orders.handlers=2; may be given again",
    )


def add_log_level(parser: argparse.ArgumentParser) -> None:
    """`--log-level`, in place of the config's."""
    parser.add_argument("--log-level", choices=tuple(LEVELS), help="in place of the config's log_level")


def add_json(parser: argparse.ArgumentParser) -> None:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


class Configuration:
    """The config that the arguments name, to be read again at every reload, its `.env` file included."""

    def __init__(self, args: argparse.Namespace, environ: MutableMapping[str, str] | None = None) -> None:
        self._path = Path(args.config).absolute()  # a reload must find it whatever became the working directory
        self._env_file = Path(args.env_file).absolute() if args.env_file else None
        self._overrides: list[Override] = [*args.set]
        if getattr(args, "log_level", None):
            self._overrides.append(Override(("worker", "log_level"), args.log_level))
        self._environ = os.environ if environ is None else environ
        self._from_file: set[str] = set()

    def load(self) -> Settings:
        """The settings; the variables of the `.env` file are then in the environment. Raises ConfigError."""
        self._read_env_file()
        return load(self._path, self._environ, overrides=self._overrides)

    def _read_env_file(self) -> None:
        if self._env_file is None:
            return
        try:
            variables = read_env_lines(self._env_file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise env_file_error(self._env_file, error) from None
        for name in self._from_file - variables.keys():
            self._environ.pop(name, None)
        new = {name for name in variables if name in self._from_file or name not in self._environ}
        self._environ.update({name: variables[name] for name in new})
        self._from_file = new


def env_file_error(path: Path, error: OSError | ValueError) -> ConfigError:
    """What is wrong with a `.env` file, without a word of what it holds."""
    from worker.config import Problem

    reason = (
        error.strerror if isinstance(error, OSError) else "is not UTF-8" if isinstance(error, UnicodeError) else error
    )
    return ConfigError([Problem(file=str(path), text=f"cannot be read: {reason}")])


def load_or_quit(configuration: Configuration) -> Settings:
    """The settings. Raises Quit with every problem, one a line."""
    try:
        return configuration.load()
    except ConfigError as error:
        raise exits.Quit(exits.CONFIG, str(error)) from None


def _override(text: str) -> Override:
    try:
        return parse_override(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
