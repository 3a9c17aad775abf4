"""Command line: exit codes, and the way a command ends with a message instead of a stack trace."""

from __future__ import annotations

import os

OK = 0
FAILED = 1  #: the pool refused; `worker demo`: the numbers do not balance, or something was lost
USAGE = os.EX_USAGE  #: 64: wrong arguments
UNAVAILABLE = os.EX_UNAVAILABLE  #: 69: nobody listens at the control socket, or a server does not start
CANNOT_CREATE = os.EX_CANTCREAT  #: 73: a file is there already, or cannot be written
CONFIG = os.EX_CONFIG  #: 78: the config is wrong

#: Shown by `worker --help`. What `worker run` adds is its own contract with systemd and ECS.
EPILOG = """\
exit codes:
  0   done; `worker run`: drained, every settlement confirmed
  1   the pool refused; `worker demo`: the numbers do not balance, or something was lost
  64  wrong arguments
  69  nobody listens at the control socket, or a server does not start
  70  `worker run`: every queue gave up (with --until-empty: one did, and the others are empty)
  73  a file is there already, or cannot be written
  75  `worker run`: settlements left unconfirmed
  78  the config is wrong
"""


class Quit(Exception):
    """Ends the command: `text` goes to standard error, `code` is the exit code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
