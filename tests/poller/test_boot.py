"""Test process: the poller process from its start: a bug in it is one log line, not a page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable

from worker.channel import PROTOCOL, Channel, pair
from worker.leases import LeaseTable
from worker.platform import anonymous_file
from worker.protocol import ControlFrame
from worker.settings import QueueSettings, Settings, to_json
from worker.slots import PollerSlot

_BROKEN = r"""
import sys
from worker.poller import boot
class Broken:
    def __init__(self, *arguments, **options):
        raise ValueError("a bug\n{\"event\":\"forged\"}\x1b[31m")
boot.Boot = Broken
sys.exit(boot.main(int(sys.argv[1])))
"""


def test_an_exception_that_nobody_expected_is_a_log_line(python: Callable[..., subprocess.Popen[bytes]]) -> None:
    """The poller ends, so that a successor takes over, and its traceback stands in one JSON object."""
    here, there = pair()
    poller = python(_BROKEN, there.fileno(), stderr=subprocess.PIPE)
    there.close()
    queue = QueueSettings(name="orders", handler="m:f", url="https://x")
    header = {"settings": to_json(Settings(name="x", queues=(queue,))), "queue": "orders", "number": 0, "epoch": 1}
    sizes = (PollerSlot.size(), LeaseTable.size(), 0)
    files = tuple(anonymous_file("test", size) for size in sizes)
    control = Channel(here)
    control.send(ControlFrame.SETUP, header | {"parent": os.getpid(), "protocol": PROTOCOL}, fds=files)
    _, told = poller.communicate(timeout=20)
    control.close()
    for fd in files:
        os.close(fd)
    assert poller.returncode == os.EX_SOFTWARE
    (line,) = [json.loads(line) for line in told.decode().splitlines()]
    assert (line["event"], line["process"]) == ("poller_failed", "poller orders/0")
    assert "ValueError" in line["error"]
    assert "boot.py" in line["traceback"]


def test_it_is_not_for_users_to_start() -> None:
    """By hand it explains itself."""
    done = subprocess.run([sys.executable, "-m", "worker.poller"], capture_output=True, text=True, check=False)
    assert done.returncode == os.EX_USAGE
    assert "worker run" in done.stderr
