"""Benchmark process: what the config of this version knows, so that cases for newer keys appear with the keys."""

from __future__ import annotations

from worker.config.queue_keys import QUEUE


def known(name: str) -> bool:
    """Whether `[queues.NAME]` has this key."""
    return any(key.name == name for key in QUEUE)
