"""Command line: who else may write the config file. Its handlers are code: whoever writes it runs as us."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path


def check_permissions(path: Path) -> Iterator[str]:
    """Complaints about the mode of a file and of its folder, each with the command that mends it. Raises OSError."""
    found = path.stat()
    mode = stat.S_IMODE(found.st_mode)
    if mode & stat.S_IWOTH or (mode & stat.S_IWGRP and not _is_private(found.st_gid, owner=found.st_uid)):
        yield (
            f"others may write this file (mode {mode:04o}), and so choose what runs: "
            f"chmod go-w {shlex.quote(os.fspath(path))}"
        )
    folder = path.resolve().parent
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        yield (
            f"anybody may replace files in {folder} (mode {mode:04o}), this one included: "
            f"chmod o-w {shlex.quote(os.fspath(folder))}"
        )


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
