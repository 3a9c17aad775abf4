"""Command line: reads the tables of a config file, key by key, by the schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from worker.config import shapes
from worker.config.cloudwatch_keys import CLOUDWATCH
from worker.config.environment import BadReference
from worker.config.problems import nearest
from worker.config.queue_keys import BATCH, QUEUE, RECYCLE, RETRY
from worker.config.report import Report
from worker.config.schema import InnerSettings, Key
from worker.config.values import MISSING, BadValue, convert
from worker.settings import BatchSettings, CloudWatchSettings, RecycleSettings, RetrySettings

_SOURCES = ("url", "name", "ssm")
_WHEN = next(key for key in QUEUE if key.name == "when")
#: What `when` says to leave a table out, beside an empty text.
_NO = {"off", "no", "false", "0"}
#: Tables inside a queue's table.
_TABLES: tuple[tuple[str, Sequence[Key], InnerSettings], ...] = (
    ("retry", RETRY, RetrySettings),
    ("recycle", RECYCLE, RecycleSettings),
    ("batch", BATCH, BatchSettings),
    ("cloudwatch", CLOUDWATCH, CloudWatchSettings),
)
_INNER = tuple(name for name, _, _ in _TABLES)


def read_table(
    raw: Any,
    table: tuple[str, ...],
    *,
    keys: Sequence[Key],
    environ: Mapping[str, str],
    report: Report,
    inner: Sequence[str] = (),
) -> dict[str, Any]:
    """The good values of one table by key name; what is wrong goes to the report. `inner` are read by the caller."""
    if not isinstance(raw, dict):
        report.add(f"expected a table [{'.'.join(table)}]", table=table)
        return {}
    known = {key.name: key for key in keys}
    values: dict[str, Any] = {}
    for name, value in raw.items():
        if name in inner:
            continue
        if name not in known:
            report.add(f"unknown key; {nearest(name, [*known, *inner])}", table=table, key=name)
            continue
        try:
            converted = convert(known[name], value, environ)
        except (BadValue, BadReference) as error:
            report.add(str(error), table=table, key=name)
        else:
            if converted is not MISSING:
                values[name] = converted
    return values


def left_out(raw: Any, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the `[queues.*]` tables whose `when` says no: nothing else in them is read."""
    if not isinstance(raw, dict):
        return ()
    return tuple(name for name, table in raw.items() if isinstance(table, dict) and _says_no(table, environ))


def _says_no(table: Mapping[str, Any], environ: Mapping[str, str]) -> bool:
    if "when" not in table:
        return False
    try:
        value = convert(_WHEN, table["when"], environ)
    except (BadValue, BadReference):
        return False  # it is told when the table is read
    return value is MISSING or value.strip().lower() in _NO


def read_queues(raw: Any, *, environ: Mapping[str, str], report: Report) -> dict[str, dict[str, Any]]:
    """The good values of each `[queues.NAME]` that is not left out, its inner tables made settings."""
    if not isinstance(raw, dict) or not raw:
        report.add("no queue: write a table such as [queues.orders], with handler and one of url, name and ssm")
        return {}
    found: dict[str, dict[str, Any]] = {}
    out = left_out(raw, environ)
    if len(out) == len(raw):
        report.add("no queue: all are left out by their `when`, which is empty or off")
    for name, table in raw.items():
        if name in out:
            continue
        path = ("queues", name)
        if not shapes.TABLE_NAME.fullmatch(name):
            report.add("a queue's table is named by lower-case letters, digits, '-' and '_'", table=path)
        values = read_table(table, path, keys=QUEUE, environ=environ, report=report, inner=_INNER)
        if isinstance(table, dict):
            _check_presence(values, path, report=report)
            for inner, keys, kind in _TABLES:
                read = read_table(table.get(inner, {}), (*path, inner), keys=keys, environ=environ, report=report)
                values[inner] = kind(**read)
            if "cloudwatch" in table and "namespace" not in table["cloudwatch"]:
                text = 'is required, such as namespace = "Shop"'
                report.add(text, table=(*path, "cloudwatch"), key="namespace")
        found[name] = values
    return found


def _check_presence(values: Mapping[str, Any], path: tuple[str, ...], *, report: Report) -> None:
    """Keys that must be there, or must not be there together. One with a problem of its own counts as there."""
    there = {key for key in (*_SOURCES, "handler") if key in values or report.about(path, (key,))}
    sources = [key for key in _SOURCES if key in there]
    if not sources:
        report.add("no queue is named: write one of url, name and ssm", table=path)
    elif len(sources) > 1:
        report.add(f"one queue, {len(sources)} names: keep one of {', '.join(sources)}", table=path, key=sources[1])
    if "handler" not in there:
        report.add('is required, such as handler = "shop.handlers:place_order"', table=path, key="handler")
    if "wait" in values and "poll_interval" in values:
        report.add("says the same as wait: keep one of the two", table=path, key="poll_interval")
