"""Command line: reads worker.toml into the settings. All problems are told at once, by file, table and key."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from worker.config.assembly import absolute_socket, assemble
from worker.config.overrides import Override, apply
from worker.config.permissions import check_permissions
from worker.config.problems import ConfigError, Problem, nearest
from worker.config.report import Report
from worker.config.tables import left_out, read_queues, read_table
from worker.config.worker_keys import WORKER
from worker.settings import Settings


def load(path: str | Path, environ: Mapping[str, str], *, overrides: Sequence[Override] = ()) -> Settings:
    """The settings of a config file. Raises ConfigError with every problem, an unreadable file included."""
    path = Path(path)
    text = _read(path)
    complaints = list(check_permissions(path))
    return load_text(text, path=path, environ=environ, overrides=overrides, complaints=complaints)


def load_text(
    text: str,
    *,
    path: str | Path,
    environ: Mapping[str, str],
    overrides: Sequence[Override] = (),
    complaints: Sequence[str] = (),
) -> Settings:
    """The settings of a config's text, as if it stood in `path`, which need not exist. Raises ConfigError.

    `complaints` are problems that the caller found in the file already.
    """
    report = Report(str(path), text)
    for complaint in complaints:
        report.add(complaint)
    document = _parse(text, report)
    apply(tuple(overrides), document, report)
    for table in document.keys() - {"worker", "queues"}:
        report.add(f"unknown table; {nearest(table, ('worker', 'queues'))}", table=(table,))
    worker = read_table(document.get("worker", {}), ("worker",), keys=WORKER, environ=environ, report=report)
    queues = read_queues(document.get("queues"), environ=environ, report=report)
    settings = assemble(worker, queues, path=Path(path), environ=environ, report=report)
    report.finish()
    return replace(settings, left_out=left_out(document.get("queues"), environ))


def find_control_socket(path: str | Path, environ: Mapping[str, str]) -> str:
    """The absolute path of the config's control socket, "" if it has none. Raises ConfigError.

    Only that key is judged: an operator's shell need not hold the variables that the queues are configured by.
    """
    path = Path(path)
    text = _read(path)
    report = Report(str(path), text)
    table = _parse(text, report).get("worker", {})
    if isinstance(table, dict):
        table = {name: value for name, value in table.items() if name == "control_socket"}
    worker = read_table(table, ("worker",), keys=WORKER, environ=environ, report=report)
    if "control_socket" in worker:
        worker["control_socket"] = absolute_socket(worker["control_socket"], path=path, report=report)
    report.finish()
    return str(worker.get("control_socket", ""))


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise ConfigError([Problem(file=str(path), text=f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(file=str(path), text=f"is not UTF-8, at byte {error.start}")]) from None


def _parse(text: str, report: Report) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, and what int() says of a number with thousands of digits
        report.add(f"is not TOML: {error}")
    except RecursionError:
        report.add("is not TOML that anybody wrote: it is nested too deep")
    report.finish()
    raise AssertionError
