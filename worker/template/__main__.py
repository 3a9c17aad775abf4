"""Template process: its entry. The supervisor starts it as `python -m worker.template DESCRIPTOR SUPERVISOR`.

A handler that it forks comes out of `live` as well, with the whole application imported, and goes on as any handler.
"""

from __future__ import annotations

import atexit
import os
import sys
from socket import socket

from worker.platform import die_with_parent


def main(arguments: list[str]) -> int:
    """In the template this does not return; in each handler it gives the exit code."""
    if len(arguments) != 2 or not all(argument.isdecimal() for argument in arguments):
        sys.stderr.write("worker.template is started by `worker run`\n")
        return os.EX_USAGE
    fd, supervisor = map(int, arguments)
    die_with_parent(supervisor)  # first of all, as in worker.handler
    from worker.channel import Channel
    from worker.handler.serving import serve
    from worker.template.life import live

    os.set_inheritable(fd, False)
    codes = [os.EX_SOFTWARE]
    # Registered before the application's exit hooks, so it runs after them, in each handler that was told to stop.
    atexit.register(_leave, codes)
    newborn = live(Channel(socket(fileno=fd)))
    codes.append(serve(Channel(socket(fileno=newborn.control)), newborn.function))
    return codes[-1]


def _leave(codes: list[int]) -> None:
    """Instead of the interpreter's teardown, which writes to every object that there is.

    Each handler would copy all the memory that it shares, and in a drain all handlers would do so at once.
    """
    from worker.handler.endings import flush_user_output

    flush_user_output()
    os._exit(codes[-1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
