"""Command line: who else may write the config file. Its handlers are code: whoever writes it runs as us."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path


def check_permissions(path: Path) -> Iterator[str]:
    """Complaints about the mode of a file and of its folder, each with the command that mends it. Raises OSError."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
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
