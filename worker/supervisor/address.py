"""Supervisor process: takes the path of the control socket, unless a living pool has it, and gives it back."""

from __future__ import annotations

import fcntl
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from worker import platform

#: Bytes of a path that a unix socket can be bound to, without the final NUL (unix(7); macOS's sun_path is shorter).
LONGEST = 107 if platform.LINUX else 103
#: Seconds that a living supervisor may take to accept; one that is suspended keeps its backlog open and still counts.
_ASKING = 1.0


class Refused(ValueError):
    """The path cannot be used; the text says why, and what to do."""


@dataclass(slots=True)
class Place:
    """A listening socket at its path."""

    listener: socket.socket
    path: Path
    identity: tuple[int, int]  #: device and inode

    def release(self) -> None:
        """Close the socket; remove the path if it is still ours and not a successor's."""
        self.listener.close()
        if _identity(self.path) == self.identity:
            self.path.unlink(missing_ok=True)


def claim(path: Path) -> Place:
    """Listen at `path`, for our own user only. Raises Refused with a text if that is impossible.

    The socket is bound under another name and renamed, so that the path always leads to a socket that listens with the
    right permissions; the socket of a dead supervisor is replaced in that moment.
    """
    temporary = path.with_name(f".{os.getpid()}")
    longest = max(len(os.fsencode(path)), len(os.fsencode(temporary)))
    if longest > LONGEST:
        raise Refused(f"control_socket {path} is {longest} bytes long, and a unix socket's path has at most {LONGEST}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Refused(f"the folder of control_socket {path} cannot be used: {error}; {_ADVICE}") from error
    try:
        # Of two supervisors that start at once only one may find the path free.
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _refuse_living(path)
        return _bind(path, temporary)
    except BlockingIOError as error:
        raise Refused(f"another supervisor is just starting at control_socket {path}") from error
    except OSError as error:
        raise Refused(f"control_socket {path} cannot be made: {error}; {_ADVICE}") from error
    finally:
        os.close(folder)


_ADVICE = "choose a folder that can be written to, or leave control_socket empty"


def _refuse_living(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_ASKING)
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            if path.exists() and not path.is_socket():
                raise Refused(f"control_socket {path} exists and is no socket: name another path") from None
            return
        except (TimeoutError, BlockingIOError):
            who = "a supervisor that does not answer"
        else:
            pid = platform.peer_process(probe)
            who = f"the supervisor with pid {pid}" if pid else "a supervisor"
    raise Refused(f"control_socket {path} belongs to {who}: stop that pool first, or give this one another path")


def _bind(path: Path, temporary: Path) -> Place:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        temporary.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            listener.bind(str(temporary))
        finally:
            os.umask(mask)
        listener.listen(16)
        listener.setblocking(False)
        identity = _identity(temporary)
        temporary.rename(path)
    except OSError:
        listener.close()
        temporary.unlink(missing_ok=True)
        raise
    return Place(listener, path, identity)


def _identity(path: Path) -> tuple[int, int]:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return 0, 0
    return found.st_dev, found.st_ino
