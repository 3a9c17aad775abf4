"""Pure rules: what a benchmark returns: cases, and rows of figures with every repetition kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing to measure: who does what, how far from the endpoint."""

    bench: str  #: the module of benchmarks/ that measures it
    contender: str = "worker"
    work: str = "noop"  #: what the handler function does with a message: noop, spin, pause
    latency: float = 0.0  #: seconds that the endpoint adds to every answer
    handlers: int = 2  #: handler processes, or what stands for them
    size: int = 1024  #: bytes of a body
    variant: str = ""  #: what else is special about it
    settings: Mapping[str, Any] = field(default_factory=dict)  #: keys of the queue's table

    @property
    def places(self) -> int:
        """Messages that run at once, at most."""
        return self.handlers * int(self.settings.get("threads", 0) or self.settings.get("concurrency", 1))

    def label(self) -> str:
        """The case in a few words, for a progress bar."""
        words = [self.bench, self.contender, self.work, f"{self.latency * 1000:g} ms", f"{self.handlers} handlers"]
        return " ".join([*words, *([self.variant] if self.variant else [])])

    def key(self) -> tuple[Any, ...]:
        """What tells cases apart."""
        return (self.bench, self.contender, self.work, self.latency, self.handlers, self.size, self.variant)


@dataclass(slots=True)
class Row:
    """A case and its figures: by name, a list for each pass, in it one value for each repetition."""

    case: Case
    figures: dict[str, list[list[float]]] = field(default_factory=dict)
    failure: str = ""  #: why there are none

    def add(self, values: Mapping[str, float], *, turn: int) -> None:
        """Keep the figures of one repetition in pass `turn`, counted from 0."""
        for name, value in values.items():
            passes = self.figures.setdefault(name, [])
            while len(passes) <= turn:
                passes.append([])
            passes[turn].append(float(value))


def to_json(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """The rows as JSON objects."""
    return [
        {
            "bench": row.case.bench,
            "contender": row.case.contender,
            "work": row.case.work,
            "latency": row.case.latency,
            "handlers": row.case.handlers,
            "size": row.case.size,
            "variant": row.case.variant,
            "settings": dict(row.case.settings),
            "figures": row.figures,
            "failure": row.failure,
        }
        for row in rows
    ]


def from_json(data: Iterable[Mapping[str, Any]]) -> list[Row]:
    """The rows that `to_json` wrote."""
    rows = []
    for one in data:
        fields = {name: value for name, value in one.items() if name not in ("figures", "failure")}
        rows.append(Row(Case(**fields), dict(one["figures"]), one["failure"]))
    return rows
