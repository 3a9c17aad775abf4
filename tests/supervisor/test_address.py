"""Test process: who gets the path of the control socket."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from pathlib import Path

import pytest

from worker.supervisor.address import LONGEST, Refused, claim

pytestmark = pytest.mark.usefixtures("no_descriptor_left")


def stale(path: Path) -> None:
    """What a supervisor leaves that was killed."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_socket_is_for_our_user_only_and_so_is_the_folder_it_needed(tmp_path: Path):
    path = tmp_path / "run" / "worker.sock"
    place = claim(path)
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    place.release()


def test_a_folder_that_exists_keeps_its_permissions(tmp_path: Path):
    tmp_path.chmod(0o755)
    claim(tmp_path / "worker.sock").release()
    assert mode(tmp_path) == 0o755


def test_release_removes_the_socket_and_leaves_nothing(tmp_path: Path):
    place = claim(tmp_path / "worker.sock")
    place.release()
    assert list(tmp_path.iterdir()) == []


def test_the_socket_of_a_dead_supervisor_is_taken_over(tmp_path: Path):
    path = tmp_path / "worker.sock"
    stale(path)
    place = claim(path)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    place.release()


def test_a_living_supervisor_is_named_and_keeps_its_socket(tmp_path: Path):
    path = tmp_path / "worker.sock"
    place = claim(path)
    with pytest.raises(
        Refused, match=rf"{path} belongs to the supervisor with pid {os.getpid()}: stop that pool first"
    ):
        claim(path)
    assert path.is_socket()
    place.release()


def test_a_living_supervisor_that_is_too_busy_to_accept_still_counts(tmp_path: Path):
    path = tmp_path / "worker.sock"
    place = claim(path)
    waiting = []
    for _ in range(40):
        client = socket.socket(socket.AF_UNIX)
        client.setblocking(False)
        waiting.append(client)
        try:
            client.connect(str(path))
        except BlockingIOError:
            break
    with pytest.raises(Refused, match="belongs to"):
        claim(path)
    for client in waiting:
        client.close()
    place.release()


def test_of_two_that_start_at_once_one_is_refused(tmp_path: Path):
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    with pytest.raises(Refused, match="another supervisor is just starting"):
        claim(tmp_path / "worker.sock")
    os.close(folder)


def test_a_successors_socket_is_not_removed(tmp_path: Path):
    path = tmp_path / "worker.sock"
    place = claim(path)
    path.unlink()
    stale(path)
    place.release()
    assert path.is_socket()


def test_a_file_that_is_no_socket_is_not_replaced(tmp_path: Path):
    path = tmp_path / "worker.sock"
    path.write_text("mine")
    with pytest.raises(Refused, match="exists and is no socket"):
        claim(path)
    assert path.read_text() == "mine"


def test_a_path_that_is_too_long_is_refused_with_both_numbers(tmp_path: Path):
    path = tmp_path / ("x" * 120) / "worker.sock"
    length = len(str(path))
    with pytest.raises(Refused, match=f"is {length} bytes long, and a unix socket's path has at most {LONGEST}"):
        claim(path)
    assert list(tmp_path.iterdir()) == []


def test_the_longest_path_works(tmp_path: Path):
    path = tmp_path / ("x" * (LONGEST - len(str(tmp_path)) - 1))
    assert len(str(path)) == LONGEST
    claim(path).release()


def test_a_folder_that_cannot_be_made_is_refused_with_advice(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused, match="choose a folder that can be written to, or leave control_socket empty"):
        claim(tmp_path / "file" / "worker.sock")
