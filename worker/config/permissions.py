"""Command line: who else may write the config file. Its handlers are code: whoever writes it runs as us."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path


def check_permissions(path: Path) -> Iterator[str]:
    """Complaints about the mode of a file and of its folders, each with the command that mends it. Raises OSError."""
    mode, writers = _writers(path)
    if writers:
        yield (
            f"others may write this file (mode {mode:04o}), and so choose what runs: "
            f"chmod go-w {shlex.quote(os.fspath(path))}"
        )
    for folder in _folders(path):
        if folder.stat().st_mode & stat.S_ISVTX:
            continue  # as /tmp: there a name belongs to its owner
        mode, writers = _writers(folder)
        if writers:
            yield (
                f"others may replace what lies in {folder} (mode {mode:04o}), and so this file: "
                f"chmod {writers}-w {shlex.quote(os.fspath(folder))}"
            )


def _folders(path: Path) -> Iterable[Path]:
    """All above the file, as it is named and as links lead to it: who may rename one may put another in its place."""
    return dict.fromkeys((*path.absolute().parents, *path.resolve().parents))


def _writers(path: Path) -> tuple[int, str]:
    """Its mode, and who beside its owner may write it, as chmod names them: "g", "o", "go" or nobody."""
    found = path.stat()
    mode = stat.S_IMODE(found.st_mode)
    group = mode & stat.S_IWGRP and not _is_private(found.st_gid, owner=found.st_uid)
    return mode, ("g" if group else "") + ("o" if mode & stat.S_IWOTH else "")


def _is_private(group: int, *, owner: int) -> bool:
    """Whether the group is its owner's own: of the same name, and without other members.

    Many systems give each user such a group and the umask 002, so that every clone is writable by it. Who else may
    have it as primary group only a listing of all users could tell, and that can take minutes where they are in LDAP.
    """
    try:
        entry, name = grp.getgrgid(group), pwd.getpwuid(owner).pw_name
    except KeyError:
        return False  # as in a container whose user has no entry: nothing is known, so nothing is allowed
    return entry.gr_name == name and set(entry.gr_mem) <= {name}
