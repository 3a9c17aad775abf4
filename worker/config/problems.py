"""Command line: what is wrong with a config file, and where."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One fault: `str()` gives `FILE:LINE: [TABLE] KEY: TEXT` with the parts that are known."""

    text: str
    file: str = ""
    table: str = ""  #: as written in the file, such as "queues.orders"
    key: str = ""
    line: int = 0  #: from 1; 0: not known

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        inside = " ".join(part for part in (f"[{self.table}]" if self.table else "", self.key) if part)
        return ": ".join(part for part in (place, inside, self.text) if part)


class ConfigError(ValueError):
    """A config that cannot be run. `problems` are all that were found; `str()` prints them one a line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def nearest(word: str, known: Sequence[str]) -> str:
    """The hint that ends a complaint about an unknown word: the nearest known one, or all of them if none is near."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known are: {', '.join(sorted(known))}"
