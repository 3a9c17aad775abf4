"""Test process: whose group may write the config file. The users and groups of the machine are played."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from worker.config.permissions import check_permissions

Machine = Callable[..., None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Plays the entries of the file's owner and group; without a name there is no entry."""

    def play(*, owner: str = "", group: str = "", members: list[str] | None = None) -> None:
        def user(number: int) -> pwd.struct_passwd:
            assert number == os.geteuid()
            if not owner:
                raise KeyError(number)
            return pwd.struct_passwd((owner, "x", number, os.getegid(), "", "/", "/bin/sh"))

        def entry(number: int) -> grp.struct_group:
            assert number == os.getegid()
            if not group:
                raise KeyError(number)
            return grp.struct_group((group, "x", number, members or []))

        monkeypatch.setattr(pwd, "getpwuid", user)
        monkeypatch.setattr(grp, "getgrgid", entry)

    return play


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "worker.toml"
    path.touch()
    os.chown(path, os.geteuid(), os.getegid())  # macOS gives a file the group of its folder
    path.chmod(0o664)
    return path


@pytest.mark.parametrize("members", [[], ["ana"]])
def test_the_owners_private_group_may_write(file: Path, machine: Machine, members: list[str]) -> None:
    """A clone under umask 002, where each user has a group of the same name, is accepted as it is."""
    machine(owner="ana", group="ana", members=members)
    assert list(check_permissions(file)) == []


@pytest.mark.parametrize(
    ("owner", "group", "members"),
    [
        ("ana", "staff", []),
        ("ana", "staff", ["ana"]),
        ("ana", "ana", ["ana", "bob"]),
        ("ana", "ana", ["bob"]),
        ("ana", "", []),
        ("", "ana", []),
        ("", "", []),
    ],
)
def test_any_other_group_may_not(file: Path, machine: Machine, owner: str, group: str, members: list[str]) -> None:
    """A shared group, a private group that got a second member, and users or groups without an entry."""
    machine(owner=owner, group=group, members=members)
    (told,) = check_permissions(file)
    assert "mode 0664" in told
    assert f"chmod go-w {file}" in told


@pytest.mark.parametrize("mode", [0o666, 0o662, 0o646])
def test_everybody_may_not_whatever_the_group(file: Path, machine: Machine, mode: int) -> None:
    """A private group excuses its own bit, not that of all others."""
    machine(owner="ana", group="ana")
    file.chmod(mode)
    (told,) = check_permissions(file)
    assert f"mode {mode:04o}" in told


def test_without_the_group_bit_nobody_is_asked(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """User directories can be slow or away; a file that its owner alone may write does not wait for them."""
    monkeypatch.setattr(pwd, "getpwuid", None)
    monkeypatch.setattr(grp, "getgrgid", None)
    file.chmod(0o644)
    assert list(check_permissions(file)) == []
