"""Command line: makes settings of a config's values, and holds them against the rules."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from worker.config import rules, shapes
from worker.config.queue_keys import QUEUE
from worker.config.report import Report
from worker.config.schema import Key
from worker.config.worker_keys import WORKER
from worker.settings import QueueSettings, Settings

#: The longest long poll of SQS, in seconds; what poll_interval asks above it is a pause.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
_LONGEST_WAIT = 20.0
_WORKER = ("worker",)


def assemble(
    worker: Mapping[str, Any],
    queues: Mapping[str, Mapping[str, Any]],
    *,
    path: Path,
    environ: Mapping[str, str],
    report: Report,
) -> Settings:
    """The settings of these values; broken rules go to the report, which must be asked before they are used."""
    folder = path.absolute().parent
    given = _fields(worker, WORKER)
    given.setdefault("name", _name_of(folder))
    if "control_socket" in given:
        given["control_socket"] = absolute_socket(given["control_socket"], path=path, report=report)
    settings = Settings(
        **given,
        queues=tuple(_queue(name, values) for name, values in queues.items()),
        config=str(path.absolute()),
        paths=tuple(dict.fromkeys((str(folder), str(Path.cwd())))),
    )
    for queue in settings.queues:
        _judge(queue, settings, report=report)
    for table, complaint in rules.check_endpoints(settings, environ):
        _add(complaint, ("queues", table) if table else _WORKER, report=report)
    return settings


def absolute_socket(text: str, *, path: Path, report: Report) -> str:
    """The control socket's path, from the folder of the config at `path`."""
    found = str(path.absolute().parent / text)
    if complaint := shapes.socket_path(found):
        report.add(complaint, table=_WORKER, key="control_socket")
    return found


def _queue(name: str, values: Mapping[str, Any]) -> QueueSettings:
    given = _fields(values, QUEUE)
    interval = given.pop("poll_interval", None)
    if interval is not None:
        # SQS waits whole seconds only, so a fraction is paused too.
        given["wait"] = float(math.floor(min(_LONGEST_WAIT, interval)))
        given["pause"] = interval - given["wait"]
    if given.get("url", "").startswith(shapes.SSM):
        given["ssm"] = given.pop("url").removeprefix(shapes.SSM)
    given |= {inner: values[inner] for inner in ("retry", "recycle", "batch", "cloudwatch") if inner in values}
    return QueueSettings(**{"handler": "", **given}, name=name)


def _fields(values: Mapping[str, Any], keys: tuple[Key, ...]) -> dict[str, Any]:
    """The values by the names of the settings."""
    return {key.setting: values[key.name] for key in keys if key.name in values}


def _judge(queue: QueueSettings, settings: Settings, *, report: Report) -> None:
    path = ("queues", queue.name)
    for complaint in rules.check_queue(queue, drain_timeout=settings.drain_timeout):
        drain = tuple(key for key in complaint.keys if key == "drain_timeout")
        if not (report.about(path, complaint.keys) or report.about(_WORKER, drain)):
            _add(complaint, path, report=report)


def _add(complaint: rules.Complaint, path: tuple[str, ...], *, report: Report) -> None:
    """Tell a broken rule at the first of its keys that the file has."""
    key = next((key for key in complaint.keys if report.written(path, key)), complaint.keys[0])
    report.add(complaint.text, table=path, key=key)


def _name_of(folder: Path) -> str:
    return folder.name if not shapes.pool_name(folder.name) else "worker"
