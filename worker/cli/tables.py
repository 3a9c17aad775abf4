"""Command line: tables for terminals. The only place that knows what rich wants; import it where a table is shown."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

#: Columns that no table reaches.
_UNBOUNDED = 10_000
_STYLES = {
    "running": "green",
    "ready": "green",
    "busy": "green",
    "spare": "cyan",
    "starting": "yellow",
    "draining": "yellow",
    "paused": "yellow",
    "reloading": "yellow",
    "gave_up": "bold red",
}


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "") -> Table:
    """A table whose first two columns are words and the others figures. No cell is read as markup."""
    made = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", padding=(0, 1, 0, 0))
    for place, heading in enumerate(headings):
        made.add_column(heading, justify="left" if place < 2 else "right", no_wrap=True)
    for row in rows:
        made.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    return made


def show(*parts: Table | Text) -> None:
    """Print on standard output, each table at its whole width: a figure cut off is worse than a wrapped line."""
    console = Console()
    terminal = console.width
    for part in parts:
        console.width = _UNBOUNDED
        needed = Measurement.get(console, console.options, part).maximum
        console.width = max(terminal, needed)
        console.print(part)
