"""Supervisor process: starts one child by exec. It inherits its control socket, standard output and error, no more."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import worker
from worker.supervisor.tree import Role

#: Makes the arguments of a child from its role and the number of its control descriptor.
Command = Callable[[Role, int], Sequence[str]]

#: Folders that need not be named to a child. Naming them would put what is installed before the standard library.
_INSTALLED = ("site-packages", "dist-packages")


def command(role: Role, fd: int) -> Sequence[str]:
    """The real children. -P: the working directory must not decide which `worker` they import.

    They are told who we are, since they ask the kernel to die with us before they import what may fail; a poller takes
    that back when it can hold messages.
    """
    return [sys.executable, "-P", "-m", f"worker.{role}", str(fd), str(os.getpid())]


def environment(inherited: Mapping[str, str], folder: Path) -> dict[str, str]:
    """What a child gets: everything, and a way to the `worker` package that runs here, which lies in `folder`.

    A checkout is found only because it is the working directory, which -P takes away. It goes last, so that it shadows
    nothing of the user's own PYTHONPATH.
    """
    paths = [path for path in inherited.get("PYTHONPATH", "").split(os.pathsep) if path]
    if folder.name in _INSTALLED or str(folder) in paths:
        return dict(inherited)
    return {**inherited, "PYTHONPATH": os.pathsep.join([*paths, str(folder)])}


def start(arguments: Sequence[str], fd: int) -> int:
    """Start a child that leads a session of its own, and return its pid. Raises OSError if the system has none to give.

    Its own session keeps Ctrl-C in a terminal away from it, and makes it the leader of a process group that can be
    killed whole. There is no preexec_fn: that would fork where a vfork does.
    """
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module, or a test's stand-in
        arguments,
        stdin=subprocess.DEVNULL,
        pass_fds=(fd,),
        start_new_session=True,
        env=environment(os.environ, Path(worker.__file__).parents[1]),
    )
    # We reap by waitid. An object that thinks the child is its own would wait for the pid again when it is collected,
    # and by then the pid may be somebody else's.
    process.returncode = 0
    return process.pid
