"""Command line: `worker status`: what a running pool does, as a table, plain lines, or JSON."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from worker.cli.control import add_socket, ask, find_socket
from worker.cli.options import add_json
from worker.cli.quantities import size, span
from worker.policy.emptiness import MEANING
from worker.policy.pace import ADVICE

EPILOG = """\
examples:
  worker status                                  the config is worker.toml here
  worker status --socket run/worker.sock
  worker status --json | jq .queues.orders.counters.in_flight

The counters are sums over all pollers a queue has had; `in flight`, `ready` and `running` are now. `limit` is what
keeps a poller from being faster: queue (it has no more messages), polls, handlers, deletes, bytes, leases, cpu, or
endpoint. `busy` is the time that handler functions took, summed over messages that ran beside each other.
"""

#: Headings of the two tables; the rest of each row is right-aligned after the first two columns.
QUEUE_HEADINGS = (
    "queue",
    "state",
    "received",
    "deleted",
    "released",
    "dead-lettered",
    "lost",
    "in flight",
    "ready",
    "running",
)
_QUEUE_COUNTERS = ("received", "deleted", "released", "dead_lettered", "lost", "in_flight", "ready", "running")
PROCESS_HEADINGS = ("process", "state", "pid", "done", "failed", "busy", "memory", "now", "restarts")
PACE_HEADINGS = ("poller", "limit", "messages/s", "a receive", "a settlement", "cores")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `worker status`."""
    add_socket(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Ask and show."""
    answer = ask(find_socket(args), {"verb": "status"})
    if args.json:
        print(json.dumps(answer))
    elif sys.stdout.isatty():
        _show_tables(answer)
    else:
        _show_plain(answer)
    return 0


def headline(status: dict[str, Any]) -> str:
    """One line about the pool."""
    up = f" (up {span(status['uptime'])})" if "uptime" in status else ""
    state = f"{status['state']} for {span(status['since'])}{up}"
    return f"{status['name']}: {state}, pid {status['pid']}, version {status['version']}"


def queue_rows(status: dict[str, Any]) -> list[tuple[str, ...]]:
    """A row for each queue, as QUEUE_HEADINGS say."""
    return [
        (name, queue["state"], *(f"{queue['counters'].get(counter, 0):,}" for counter in _QUEUE_COUNTERS))
        for name, queue in status["queues"].items()
    ]


def process_rows(status: dict[str, Any]) -> list[tuple[str, ...]]:
    """A row for each poller, template and handler, as PROCESS_HEADINGS say."""
    rows = []
    for name, queue in status["queues"].items():
        for poller in queue["pollers"]:
            age = f"received {span(poller['receive_age'])} ago" if poller.get("receive_age") is not None else ""
            if poller.get("trouble"):
                age = f"{poller['trouble']} for {span(poller['trouble_age'])}"
            rows.append(_row(f"poller {name}/{poller['number']}", poller, "", "", "", "", age))
        for template in queue.get("templates", ()):
            rows.append(_row(f"template {name}", template, "", "", "", size(template["resident_bytes"]), ""))
        for handler in queue["handlers"]:
            oldest = max((entry["seconds"] for entry in handler["running"]), default=None)
            now = "" if oldest is None else f"running for {span(oldest)}"
            if now and handler["places"] > 1:
                now = f"{len(handler['running'])} of {handler['places']} {now}"
            figures = (f"{handler['done']:,}", f"{handler['failed']:,}", span(handler["busy_seconds"]))
            rows.append(
                _row(f"handler {name}/{handler['number']}", handler, *figures, size(handler["resident_bytes"]), now)
            )
    return rows


def pace_rows(status: dict[str, Any]) -> list[tuple[str, ...]]:
    """A row for each poller that works, as PACE_HEADINGS say: how fast it was in the last second, and its calls."""
    return [
        (
            f"{name}/{poller['number']}",
            poller["limit"],
            f"{poller['per_second']:,.0f}",
            *(
                f"{poller[trip] * 1000:,.1f} ms" if poller[trip] else ""
                for trip in ("receive_seconds", "settle_seconds")
            ),
            f"{poller['cpu']:.2f}",
        )
        for name, queue in status["queues"].items()
        for poller in queue["pollers"]
        if poller.get("limit")
    ]


def reasons(status: dict[str, Any]) -> list[str]:
    """A line for each queue that says why it is in its state, and for each poller that could be faster, how."""
    queues = status["queues"].items()
    lines = [f"{name}: {queue['reason']}" for name, queue in queues if queue.get("reason")]
    pollers = [
        (f"poller {name}/{one['number']}", one.get("limit")) for name, queue in queues for one in queue["pollers"]
    ]
    lines += [f"{poller}: {ADVICE[limit]}" for poller, limit in pollers if limit in ADVICE]
    return lines + (_awaited(status) if status.get("until_empty") else [])


def _awaited(status: dict[str, Any]) -> list[str]:
    """What a pool that is to end when its queues are empty waits for, a line for each poller."""
    found = [(name, one) for name, queue in status["queues"].items() for one in queue["pollers"] if one.get("awaits")]
    return [f"poller {name}/{one['number']}: not empty yet: {MEANING[one['awaits']]}" for name, one in found]


def _row(title: str, process: dict[str, Any], *figures: str) -> tuple[str, ...]:
    return (title, process["state"], str(process["pid"]), *figures, str(process.get("restarts", "")))


def _show_plain(status: dict[str, Any]) -> None:
    """Columns by spaces, for logs, `watch` and `grep`."""
    print(headline(status))
    for headings, rows in _tables(status):
        widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
        for row in (headings, *rows):
            cells = [
                cell.ljust(w) if at < 2 else cell.rjust(w) for at, (cell, w) in enumerate(zip(row, widths, strict=True))
            ]
            print("  ".join(cells).rstrip())
    for line in reasons(status):
        print(line)


def _tables(status: dict[str, Any]) -> list[tuple[tuple[str, ...], list[tuple[str, ...]]]]:
    """Headings and rows; none of paces before there is one."""
    tables = [(QUEUE_HEADINGS, queue_rows(status)), (PROCESS_HEADINGS, process_rows(status))]
    paces = pace_rows(status)
    return [*tables, (PACE_HEADINGS, paces)] if paces else tables


def _show_tables(status: dict[str, Any]) -> None:
    from rich.text import Text

    from worker.cli.tables import show, table

    tables = (table(headings, rows) for headings, rows in _tables(status))
    show(Text(headline(status), style="bold"), *tables, *(Text(line, "yellow") for line in reasons(status)))
