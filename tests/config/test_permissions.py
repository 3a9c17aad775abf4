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


@pytest.mark.parametrize(
    ("mode", "told"), [(0o777, "o-w"), (0o757, "o-w"), (0o775, ""), (0o1777, ""), (0o755, ""), (0o700, "")]
)
def test_every_folder_above_counts(tmp_path: Path, machine: Machine, mode: int, told: str) -> None:
    """Who may rename a folder puts another in its place, file and all; a sticky one belongs to its owner."""
    machine(owner="ana", group="ana")
    file = tmp_path / "above" / "folder" / "worker.toml"
    file.parent.mkdir(parents=True)
    file.touch(mode=0o600)
    above = file.parents[1]
    os.chown(above, os.geteuid(), os.getegid())
    above.chmod(mode)
    complaints = list(check_permissions(file))
    assert [f"chmod {told} {above}" in one for one in complaints] == [True] * bool(told)


def test_a_folder_of_a_shared_group_is_refused(tmp_path: Path, machine: Machine) -> None:
    """As the file itself would be."""
    machine(owner="ana", group="staff")
    file = tmp_path / "folder" / "worker.toml"
    file.parent.mkdir()
    file.touch(mode=0o600)
    os.chown(file.parent, os.geteuid(), os.getegid())
    file.parent.chmod(0o775)
    (told,) = check_permissions(file)
    assert f"chmod g-w {file.parent}" in told


def test_a_link_is_only_as_good_as_both_its_ways(tmp_path: Path) -> None:
    """The folder of the link, and that of the file it leads to."""
    ways = [tmp_path / name for name in ("link", "file")]
    for way in ways:
        way.mkdir(mode=0o755)
    file = ways[1] / "real.toml"
    file.touch(mode=0o600)
    link = ways[0] / "worker.toml"
    link.symlink_to(file)
    assert list(check_permissions(link)) == []
    for way in ways:
        way.chmod(0o757)
        (told,) = check_permissions(link)
        assert f"chmod o-w {way}" in told
        way.chmod(0o755)


def test_without_the_group_bit_nobody_is_asked(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """User directories can be slow or away; a file that its owner alone may write does not wait for them."""
    monkeypatch.setattr(pwd, "getpwuid", None)
    monkeypatch.setattr(grp, "getgrgid", None)
    file.chmod(0o644)
    assert list(check_permissions(file)) == []
