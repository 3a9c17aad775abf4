"""Handler process: its entry. The supervisor starts it as `python -m worker.handler DESCRIPTOR SUPERVISOR`."""

from __future__ import annotations

import os
import sys
from socket import socket

from worker.platform import die_with_parent


def main(arguments: list[str]) -> int:
    """Serve until STOP; gives the exit code."""
    if len(arguments) != 2 or not all(argument.isdecimal() for argument in arguments):
        sys.stderr.write("worker.handler is started by `worker run`\n")
        return os.EX_USAGE
    fd, supervisor = map(int, arguments)
    # First of all. An import that fails says so on standard error, and where nobody reads that, it says so for ever: a
    # chaos run had such a process outlive its pool.
    die_with_parent(supervisor)
    from worker.channel import Channel
    from worker.handler.serving import serve

    os.set_inheritable(fd, False)
    return serve(Channel(socket(fileno=fd)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
