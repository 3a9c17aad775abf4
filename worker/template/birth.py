"""Template process: forks a process that becomes the child of the supervisor.

The template forks one between, which forks the handler and exits. The handler's parent is then the nearest subreaper
above, which is the supervisor: it can wait for it, and nobody else does.
"""

from __future__ import annotations

import contextlib
import os

#: What `bear` returns in the new process.
NEWBORN = 0
#: Exit code of the process between if it could not fork for a reason that has no number.
_UNKNOWN = 255


def bear() -> int:
    """NEWBORN in the new process; in the caller its pid, once it leads its own session and is the supervisor's child.

    Raises OSError if the system has no process to give.
    """
    reading, writing = os.pipe()
    try:
        between = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        raise
    if between == 0:
        os.close(reading)
        _fork_and_go()
        # The new process. Its session first, its pid second: whoever knows the pid may want to kill its group.
        os.setsid()
        os.write(writing, b"%d" % os.getpid())
        os.close(writing)
        return NEWBORN
    os.close(writing)
    said = os.read(reading, 32)
    os.close(reading)
    # Not before it is dead and reaped has the kernel given its child to the supervisor for certain.
    error = _wait(between)
    if said:
        return int(said)
    raise OSError(error, os.strerror(error) if error else "the new process died at once")


def _fork_and_go() -> None:
    """In the process between: fork and exit. Returns in the new process only."""
    try:
        pid = os.fork()
    except OSError as error:
        os._exit(error.errno or _UNKNOWN)
    if pid:
        # At once and without a word: buffers, exit hooks and garbage are the template's, or the new process's.
        os._exit(0)


def _wait(between: int) -> int:
    """Reap it; the number of the error that it met, or 0."""
    # Not ours to reap if the application ignores SIGCHLD: the kernel reaps then, and waiting ends when it has.
    with contextlib.suppress(ChildProcessError):
        _, status = os.waitpid(between, 0)
        return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0
    return 0
