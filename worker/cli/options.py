"""Command line: options that several commands share, and reading the config that they name."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import MutableMapping
from pathlib import Path

from worker.cli import exits
from worker.cli.env_file import open_secrets, read_env_file
from worker.config import ConfigError, Override, load, parse_override
from worker.settings import Settings
from worker.telemetry import LEVELS


def add_config(parser: argparse.ArgumentParser) -> None:
    """`--config`, `--env-file` and `--set`."""
    parser.add_argument(
        "--config", default="worker.toml", metavar="FILE", help="the config file (default: worker.toml here)"
    )
    parser.add_argument(
        "--env-file", metavar="FILE", help="set NAME=text lines of a .env first; what the environment has already stays"
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
        self._from_file: frozenset[str] = frozenset()

    def load(self) -> Settings:
        """The settings; the variables of the `.env` file are then in the environment. Raises ConfigError.

        A variable that was set by others stays as it is. Where anything is wrong the environment stays whole: a
        reload that fails must not give the next process another environment than the config that runs on.
        """
        given = {name: text for name, text in self._environ.items() if name not in self._from_file}
        variables = read_env_file(self._env_file) if self._env_file else {}
        settings = load(self._path, {**variables, **given}, overrides=self._overrides)
        for name in self._from_file - variables.keys():
            self._environ.pop(name, None)
        self._from_file = frozenset(variables.keys() - given.keys())
        self._environ.update({name: variables[name] for name in self._from_file})
        return settings

    def warnings(self) -> list[str]:
        """What is worth a word about the `.env` file that was loaded: secrets that everybody here may read."""
        if self._env_file is None or not (names := open_secrets(self._env_file, self._from_file)):
            return []
        listed = f"{', '.join(names)} in {self._env_file} can be read by every user of this machine"
        return [f"{listed}: chmod 600 {shlex.quote(str(self._env_file))}"]


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
