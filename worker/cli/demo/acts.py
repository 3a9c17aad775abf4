"""Command line: the parts of a demonstration that run in this process: prepare, send, counts, faults."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from worker.cli import exits
from worker.testing.demonstration import Demonstration

_Result = TypeVar("_Result")


@contextmanager
def environment_of(pool: Mapping[str, str]) -> Iterator[None]:
    """os.environ is the pool's in this block, so that boto3 and the application's own code find what the pool finds."""
    before = dict(os.environ)
    _become(pool)
    try:
        yield
    finally:
        _become(before)


def prepare(plan: Demonstration) -> None:
    """Make what the application needs beside queues. Raises Quit if that fails."""
    if plan.prepare is not None:
        _act("prepare", plan.prepare)


def send(plan: Demonstration, count: int) -> int:
    """Let the application send; how many messages it says it sent. Raises Quit if that fails."""
    chosen = plan.send
    return _act("send", lambda: chosen(count)) if chosen is not None else 0


def verdict(plan: Demonstration, sent: int) -> tuple[dict[str, int], tuple[str, ...]]:
    """The application's counts, and what it finds wrong with them. A failure is a fault like the others."""
    try:
        counts = dict(_act("counts", plan.counts)) if plan.counts is not None else {}
        chosen = plan.faults
        faults = tuple(_act("faults", lambda: chosen(sent, counts))) if chosen is not None else ()
    except exits.Quit as error:
        return {}, (str(error),)
    return counts, faults


def _become(environ: Mapping[str, str]) -> None:
    wanted = dict(environ)
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    os.environ.update(wanted)


def _act(name: str, act: Callable[[], _Result]) -> _Result:
    try:
        return act()
    except Exception as error:  # noqa: BLE001 - the application's code; the place and the reason are told
        place = traceback.extract_tb(error.__traceback__)[-1]
        own = [one for one in traceback.extract_tb(error.__traceback__) if "/apps/" in one.filename] or [place]
        where = f"{Path(own[-1].filename).name}:{own[-1].lineno}"
        text = f"the demonstration's `{name}` failed at {where}: {type(error).__name__}: {error}"
        raise exits.Quit(exits.FAILED, text) from None
