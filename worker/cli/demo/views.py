"""Command line: how `worker demo` shows its progress: live on a terminal, a line a second elsewhere, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from worker.cli.demo.moments import Moment
from worker.cli.quantities import rate, span
from worker.cli.status import PROCESS_HEADINGS, QUEUE_HEADINGS, process_rows, queue_rows

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live


#: Of a queue's row: up to the leases lost, so that it fits 80 columns.
_QUEUE_COLUMNS = 7


class View(Protocol):
    """Where progress goes."""

    def say(self, text: str) -> None:
        """A step that has begun."""

    def look(self, moment: Moment) -> None:
        """How far it is."""


class Silent:
    """For --json: standard output belongs to the one object at the end."""

    def say(self, text: str) -> None:
        """Nothing."""

    def look(self, moment: Moment) -> None:
        """Nothing."""


class Lines:
    """Plain lines, one a second at most."""

    def __init__(self) -> None:
        self._next = 0.0

    def say(self, text: str) -> None:
        """A line."""
        print(text, flush=True)

    def look(self, moment: Moment) -> None:
        """A line, if a second has passed since the last one."""
        if moment.seconds < self._next:
            return
        self._next = int(moment.seconds) + 1.0
        print(f"{moment.seconds:6.1f} s  {headline(moment)}  {figures(moment)}", flush=True)


class Screen:
    """A live picture: the figures, every queue, every process."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def say(self, text: str) -> None:
        """A line above the picture."""
        self._live.console.print(text, markup=False, highlight=False)

    def look(self, moment: Moment) -> None:
        """Draw it anew."""
        self._live.update(_picture(moment), refresh=True)


@contextmanager
def choose(*, json: bool, terminal: bool) -> Iterator[View]:
    """The view for this output."""
    if json:
        yield Silent()
    elif not terminal:
        yield Lines()
    else:
        from rich.live import Live

        with Live(auto_refresh=False, vertical_overflow="crop") as live:
            yield Screen(live)


def headline(moment: Moment) -> str:
    """How far it is, and how fast it goes."""
    return f"{moment.finished:,} of {moment.sent:,}  {rate(moment.rate)}"


def figures(moment: Moment) -> str:
    """Where the messages are."""
    count = moment.counters.get
    return (
        f"in flight {count('in_flight', 0):,}  deleted {count('deleted', 0):,}  released {count('released', 0):,}  "
        f"dead-lettered {moment.buried:,}"
    )


def _narrow(row: tuple[str, ...]) -> tuple[str, ...]:
    """Without pid, age and restarts, so that a row fits 80 columns."""
    return row[:2] + row[3:7]


def _picture(moment: Moment) -> Group:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    from worker.cli.tables import table

    bar = ProgressBar(total=max(1, moment.sent), completed=moment.finished, width=60)
    top = Text(f"{span(moment.seconds)}  {headline(moment)}", style="bold")
    parts: list[Text | ProgressBar | object] = [top, bar, Text(figures(moment))]
    if moment.status is not None:
        status = dict(moment.status)
        queues = [row[:_QUEUE_COLUMNS] for row in queue_rows(status)]
        processes = [_narrow(row) for row in process_rows(status)]
        parts += [table(QUEUE_HEADINGS[:_QUEUE_COLUMNS], queues), table(_narrow(PROCESS_HEADINGS), processes)]
    return Group(*parts)  # type: ignore[arg-type]  # all of them are what rich draws; its union has no name
