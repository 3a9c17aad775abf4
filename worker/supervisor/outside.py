"""Supervisor process: what its rules may do to the world outside. Nothing here blocks, and nothing raises.

`processes.Processes` does it to real processes; tests do it to a table.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any, Protocol

from worker.protocol import ControlFrame
from worker.slots import HandlerFacts, PollerFacts, Running
from worker.supervisor.tree import Child, QueueSet


class Outside(Protocol):
    """The operating system, as far as the rules need it."""

    def spawn(self, child: Child, setup: Mapping[str, Any]) -> str:
        """Start its process, set its pid, and send it SETUP; returns why that was not possible, or ""."""

    def fork(self, child: Child, setup: Mapping[str, Any], *, template: Child) -> str:
        """Ask the template for its process; returns why that was not possible, or "". Its pid is 0 until `adopt`."""

    def adopt(self, child: Child, pid: int) -> bool:
        """Its template says who it is: set its pid, and send it SETUP. False if no such process is our child."""

    def send(self, child: Child, kind: ControlFrame, header: Any = None) -> None:
        """Send one control frame; dropped if the child is dead."""

    def link(self, number: int, *, poller: Child, handler: Child) -> str:
        """Make a stream between the two and send ATTACH to both; returns why that was not possible, or "".

        For a handler that is dead, the poller gets a stream that has ended, and the slot.
        """

    def attached(self, number: int, child: Child) -> None:
        """A child has its end of this link: our copies are needed no longer than by the other."""

    def signal(self, child: Child, number: signal.Signals) -> None:
        """Send a signal to the process alone; nothing happens while its pid is 0."""

    def kill(self, child: Child) -> None:
        """SIGKILL its process group; nothing happens while its pid is 0."""

    def running(self, handler: Child) -> list[Running]:
        """The messages that its slot says are running."""

    def handler_facts(self, handler: Child) -> HandlerFacts:
        """What its slot says of itself."""

    def poller_facts(self, poller: Child) -> PollerFacts:
        """What its slot says of itself."""

    def stacks(self, child: Child) -> str:
        """The text its stack dumps have left, which is cleared by reading it."""

    def bury(self, child: Child) -> None:
        """Close everything that was kept for it; it is dead and nobody asks for its slot any more."""

    def dissolve(self, queue_set: QueueSet) -> None:
        """Close the lease tables of a set that has no process left."""
