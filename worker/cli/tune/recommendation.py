"""Command line: what `worker tune` ends with: a [queues.*] table that our own reader takes, the limit, the price."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.cli.quantities import rate
from worker.config import ConfigError, load_text
from worker.policy.price import dollars_per_million
from worker.policy.tuning import PRICE, Trial, limit
from worker.settings import QueueSettings, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """The result of a search."""

    table: str
    toml: str
    best: Trial
    trials: Sequence[Trial]
    limit: str
    dollars: float  #: per million messages, beyond the free ones, without sending
    faults: str = ""  #: what our own reader has against the table; empty, or a bug
    warnings: Sequence[str] = ()

    def lines(self) -> list[str]:
        """For a terminal; the table comes last, so that it can be copied."""
        lines = [f"{rate(trial.rate):>10}  {_mark(trial is self.best)} {_words(trial)}" for trial in self.trials]
        lines += ["", f"limit: {self.limit}"]
        lines.append(
            f"cost:  ${self.dollars:.3f} per million messages ({self.best.calls:.3f} calls a message, "
            f"{self.best.size:,.0f} bytes a body; us-east-1, without sending)"
        )
        lines += [f"note:  {warning}" for warning in self.warnings]
        lines += [f"fault: {fault}" for fault in self.faults.splitlines()]
        return [*lines, "", self.toml]

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "queue": self.table,
            "settings": dict(self.best.settings),
            "messages_a_second": self.best.rate,
            "cpu_us_per_message": self.best.cpu_us,
            "calls_per_message": self.best.calls,
            "dollars_per_million": self.dollars,
            "limit": self.limit,
            "warnings": list(self.warnings),
            "faults": self.faults,
            "toml": self.toml,
            "trials": [{"settings": dict(trial.settings), "messages_a_second": trial.rate} for trial in self.trials],
        }


def recommend(settings: Settings, queue: QueueSettings, trials: Sequence[Trial]) -> Advice:
    """The best of the trials, as the user's own table with its settings."""
    best = choose(trials)
    raw = tomllib.loads(Path(settings.config).read_text())
    table = {**raw["queues"][queue.name], **best.settings}
    toml = "\n".join(_table(("queues", queue.name), table))
    fifo = (queue.queue_name or queue.url or queue.ssm).endswith(".fifo")
    cores = os.cpu_count() or 1
    return Advice(
        table=queue.name,
        toml=toml,
        best=best,
        trials=trials,
        limit=limit(best, cores=cores),
        dollars=dollars_per_million(best.calls, size=int(best.size), fifo=fifo),
        faults=check("\n".join(_table(("worker",), raw.get("worker", {}))) + "\n" + toml, settings),
        warnings=_warnings(best),
    )


def choose(trials: Sequence[Trial]) -> Trial:
    """The cheapest of those that are about as fast as the fastest: the one with the fewest processes and threads."""
    fastest = max(trial.rate for trial in trials)
    near = [trial for trial in trials if trial.rate >= fastest * (1 - PRICE)]
    return min(near, key=lambda trial: sum(trial.settings.get(key, 0) for key in ("handlers", "threads", "pollers")))


def check(text: str, settings: Settings) -> str:
    """What the config reader has against this text; empty if it takes it."""
    try:
        load_text(text, path=settings.config, environ=os.environ)
    except ConfigError as error:
        return str(error)
    return ""


def _warnings(best: Trial) -> list[str]:
    found = ["SQS server and sender shared the cores with the pool: with AWS there is more left for it"]
    if best.failed > 0.01:
        found.append(
            f"{best.failed:.0%} of the messages were retried or rejected: give --messages that the handler takes"
        )
    if best.poller_busy is None:
        found.append("CPU is not known: pip install 'worker[bench]' brings psutil, which tells it")
    return found


def _words(trial: Trial) -> str:
    parts = [f"{key} {value}" for key, value in trial.settings.items()]
    if trial.cpu_us is not None:
        parts.append(f"{trial.cpu_us:,.0f} µs CPU a message")
    return ", ".join(parts)


def _mark(best: bool) -> str:
    return "->" if best else "  "


def _table(path: tuple[str, ...], table: Mapping[str, Any]) -> list[str]:
    """A TOML table; tables in it follow it."""
    lines = [f"[{'.'.join(path)}]"]
    lines += [f"{key} = {_value(value)}" for key, value in table.items() if not isinstance(value, dict)]
    for key, value in table.items():
        if isinstance(value, dict):
            lines += ["", *_table((*path, key), value)]
    return lines


def _value(value: Any) -> str:
    """Text, numbers and switches are in TOML what they are in JSON."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
