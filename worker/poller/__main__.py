"""Poller process: `python -m worker.poller CONTROL_FD`, started by the supervisor."""

import os
import sys

from worker.poller.boot import main

code = main(int(sys.argv[1]))
# Everything is settled and told: tearing down boto3's modules would only add 200 ms to every drain.
os._exit(code)
