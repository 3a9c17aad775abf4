"""Poller process: its entry. The supervisor starts it as `python -m worker.poller CONTROL SUPERVISOR`."""

from __future__ import annotations

import os
import sys

from worker.platform import die_with_parent


def main(arguments: list[str]) -> int:
    """Serve until DRAIN; gives the exit code."""
    if len(arguments) != 2 or not all(argument.isdecimal() for argument in arguments):
        sys.stderr.write("worker.poller is started by `worker run`\n")
        return os.EX_USAGE
    control, supervisor = map(int, arguments)
    # First of all, as in worker.handler: nothing is held yet. It is taken back when something can be.
    die_with_parent(supervisor)
    from worker.poller import boot

    return boot.main(control)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    # Everything is settled and told: tearing down boto3's modules would only add 200 ms to every drain.
    os._exit(code)
