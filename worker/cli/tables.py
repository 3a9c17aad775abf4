"""Command line: tables for terminals. The only place that knows what rich wants; import it where a table is shown."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

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
    made = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for place, heading in enumerate(headings):
        made.add_column(heading, justify="left" if place < 2 else "right", no_wrap=place < 2)
    for row in rows:
        made.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    return made
