"""Test process: what the processes of a pool are made of, and who may talk to them."""

from __future__ import annotations

import json
import os
import resource
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.system.pool import Pool, eventually
from worker.platform import LINUX

NOBODY = 65534
#: Runs a command with as much room for core dumps as it may have.
_RAISE = (
    "import os, resource, sys; hard = resource.getrlimit(resource.RLIMIT_CORE)[1];"
    "resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)); os.execv(sys.argv[1], sys.argv[1:])"
)
#: Becomes somebody else and asks for a drain; shows who asked, and the answer or what stood in the way.
_ASK = """
import os, socket, sys
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[2]))
with socket.socket(socket.AF_UNIX) as connection:
    try:
        connection.connect(sys.argv[1])
        connection.sendall(b'{"verb": "drain"}' + bytes([10]))
        answer = connection.makefile().read()
    except OSError as error:
        answer = type(error).__name__
print(os.geteuid(), answer)
"""


@pytest.mark.system
def test_a_handler_process_has_no_client_of_aws(pools: Callable[..., Pool]) -> None:
    """User code's process holds neither boto3 nor our AWS code, unless the application imports it; and neither handler
    nor poller leaves a core dump, which would hold bodies and credentials, though the shell allows them."""
    pool = pools("tests.security.application:report")
    pool.send(["hello"])
    pool.start(sys.executable, "-c", _RAISE)
    eventually(pool.effects_file.exists, seconds=20, why="the handler function has told")
    facts = json.loads(eventually(pool.effects_file.read_text, seconds=5, why="all of it"))
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    assert "worker.handler.run" in facts["modules"]
    assert [name for name in facts["modules"] if name.startswith(("boto", "worker.aws", "worker.poller"))] == []
    assert facts["core"] == [0, hard]
    assert pool.process is not None
    if LINUX:  # nobody tells the limits of another process elsewhere
        limits = [psutil.Process(pid).rlimit(psutil.RLIMIT_CORE) for pid in (*pool.pids("pollers"), pool.process.pid)]
        assert limits == [(0, hard), (hard, hard)]
    assert pool.stop() == 0


@pytest.mark.parametrize(("wish", "soft"), [("", 0), ("0", 0), ("1", None)])
def test_core_dumps_can_be_wished_for(wish: str, soft: int | None) -> None:
    """WORKER_CORE_DUMPS=1 leaves the limit as the shell set it; the hard limit stays in any case."""
    source = "import resource as r, worker.platform as p; p.leave_no_core(); print(*r.getrlimit(r.RLIMIT_CORE))"
    command = [sys.executable, "-c", _RAISE, sys.executable, "-c", source]
    environ = os.environ | {"WORKER_CORE_DUMPS": wish}
    told = subprocess.run(command, env=environ, capture_output=True, check=True).stdout
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    assert tuple(map(int, told.split())) == (hard if soft is None else soft, hard)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder whose parents everybody may pass, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def as_nobody(path: Path) -> tuple[str, str]:
    """Who asked, and what came of it."""
    command = [sys.executable, "-I", "-c", _ASK, str(path), str(NOBODY)]
    asked = subprocess.run(command, capture_output=True, check=True)
    who, _, answer = asked.stdout.decode().strip().partition(" ")
    return who, answer


@pytest.mark.system
def test_the_control_socket_is_for_its_own_user(pools: Callable[..., Pool], open_folder: Path) -> None:
    """Socket 0600 in a folder 0700; who gets past both is refused by his user id, told so, and logged.

    The part about another user needs root, who may start a process as one; tests/supervisor plays it for the others.
    """
    pool = pools("record")
    folder = open_folder / "run"
    text = pool.config.read_text().replace(str(pool.socket), str(folder / "s"))
    pool.config.write_text(text)
    pool.socket = folder / "s"
    pool.start()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, pool.socket)] == [0o700, 0o600]
    if os.geteuid() == 0:
        assert as_nobody(pool.socket) == (str(NOBODY), "PermissionError")
        folder.chmod(0o755)
        assert as_nobody(pool.socket) == (str(NOBODY), "PermissionError")
        pool.socket.chmod(0o666)
        who, answer = as_nobody(pool.socket)
        refusal: dict[str, Any] = json.loads(answer)
        assert (who, refusal["ok"]) == (str(NOBODY), False)
        assert f"user {NOBODY} may not control" in refusal["error"]
        assert any(line["event"] == "control_refused" and line["user"] == NOBODY for line in pool.events())
    assert pool.state() == "running"
    assert pool.stop() == 0
