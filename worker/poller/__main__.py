"""Poller process: `python -m worker.poller CONTROL_FD`, started by the supervisor."""

import sys

from worker.poller.boot import main

sys.exit(main(int(sys.argv[1])))
