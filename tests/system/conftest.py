"""Fixtures of the system tests: one SQS server, and pools that end with their test and leave nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.system.pool import Pool, eventually
from worker.testing.sqs_server.process import SqsServerProcess


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder starts real processes."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.system)


@pytest.fixture(scope="session")
def server() -> Iterator[SqsServerProcess]:
    """The strict SQS server, in a process of its own."""
    with SqsServerProcess() as started:
        yield started


@pytest.fixture
def pools(server: SqsServerProcess, tmp_path: Path) -> Iterator[Callable[..., Pool]]:
    """Makes pools. At the end of the test each must have ended or be ended, and no process of it may be left."""
    made: list[Pool] = []
    seen: dict[int, psutil.Process] = {}

    def make(handler: str = "record", **queue: Any) -> Pool:
        folder = tmp_path / f"p{len(made)}"
        folder.mkdir(mode=0o700)
        pool = Pool(folder, server, handler=handler, **queue)
        made.append(pool)
        return pool

    yield make
    for pool in made:
        if pool.process is None:
            continue
        if pool.process.poll() is None:
            seen |= {one.pid: one for one in pool.tree()}
            pool.process.kill()
            pool.process.wait()
    eventually(lambda: not any(alive(one) for one in seen.values()), seconds=20, why="no process left behind")


def alive(process: psutil.Process) -> bool:
    """Whether it runs still; a zombie that its new parent has not reaped yet does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
