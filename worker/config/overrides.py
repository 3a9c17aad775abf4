"""Command line: keys given beside the file, such as `worker run --set queues.orders.handlers=2`."""

from __future__ import annotations

from typing import Any, NamedTuple

from worker.config.report import Report
from worker.config.values import Given

#: Keys that say the same in other words: setting one drops what the file has of the others.
_ALTERNATIVES = (("url", "name", "ssm"), ("wait", "poll_interval"))


class Override(NamedTuple):
    """One key with its new text, which is converted to the key's type; an empty text unsets the key."""

    path: tuple[str, ...]  #: such as ("queues", "orders", "wait")
    text: str


def parse_override(text: str) -> Override:
    """`queues.orders.wait=5` as an override. Raises ValueError if it has another form."""
    path, equals, value = text.partition("=")
    parts = tuple(path.strip().split("."))
    if not equals or len(parts) < 2 or not all(parts):
        raise ValueError(f"expected TABLE.KEY=VALUE, such as queues.orders.handlers=2, got {text!r}")
    return Override(parts, value)


def apply(overrides: tuple[Override, ...], document: dict[str, Any], report: Report) -> None:
    """Put them into the parsed file. A table that the file does not have goes to the report, [worker] excepted."""
    for override in overrides:
        *tables, key = override.path
        place = _table(document, tables)
        if place is None:
            report.add(f"--set {'.'.join(override.path)}: the file has no such table", table=tuple(tables))
            continue
        queue_key = len(tables) == 2 and tables[0] == "queues"
        for group in _ALTERNATIVES if queue_key and override.text else ():
            if key in group:
                for other in group:
                    place.pop(other, None)
        place.pop(key, None)
        if override.text:
            place[key] = Given(override.text)


def _table(document: dict[str, Any], tables: list[str]) -> dict[str, Any] | None:
    """The table to write into; `worker` and tables inside a queue's table are made if the file has none."""
    place: Any = document
    for depth, name in enumerate(tables):
        if depth == 1 and name not in place:
            return None
        place = place.setdefault(name, {})
        if not isinstance(place, dict):
            return None
    return place if isinstance(place, dict) else None
