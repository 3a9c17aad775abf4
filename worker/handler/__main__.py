"""Handler process: its entry. The supervisor starts it as `python -m worker.handler DESCRIPTOR`."""

from __future__ import annotations

import os
import sys
from socket import socket

from worker.channel import Channel
from worker.handler.serving import serve


def main(arguments: list[str]) -> int:
    """Serve until STOP; gives the exit code."""
    if len(arguments) != 1 or not arguments[0].isdecimal():
        sys.stderr.write("worker.handler is started by `worker run`\n")
        return os.EX_USAGE
    fd = int(arguments[0])
    os.set_inheritable(fd, False)
    return serve(Channel(socket(fileno=fd)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
