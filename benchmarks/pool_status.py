"""Benchmark process: what our pool says of itself over its control socket: whether it is ready, pids by role."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from worker.cli import exits
from worker.cli.control import ask

#: Seconds that a pool may take to get ready.
_PATIENCE = 30.0


def status(folder: Path) -> dict[str, Any]:
    """Its answer to `worker status`; empty as long as it gives none."""
    try:
        return ask(f"{folder}/s", {"verb": "status"})
    except exits.Quit:
        return {}


def wait_until_running(folder: Path) -> dict[str, Any]:
    """Its first answer with all processes ready. Raises TimeoutError."""
    end = time.monotonic() + _PATIENCE
    while (answer := status(folder)).get("state") != "running":
        if time.monotonic() > end:
            raise TimeoutError(f"the pool is not ready after {_PATIENCE:g} s: {answer.get('state')}")
        time.sleep(0.01)
    return answer


def pids(answer: dict[str, Any]) -> dict[str, list[int]]:
    """Process ids by role: supervisor, poller, handler; spares are handlers that serve nobody yet."""
    queue = answer["queues"]["work"]
    handlers = {one["pid"]: one["state"] for one in queue["handlers"] if one["pid"]}
    return {
        "supervisor": [answer["pid"]],
        "poller": [one["pid"] for one in queue["pollers"] if one["pid"]],
        "handler": list(handlers),
    }
