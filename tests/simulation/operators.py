"""Test process: what operators do, and what a machine may refuse: signals, deployments, no memory."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from tests.simulation.victims import Victims

if TYPE_CHECKING:
    from tests.simulation.world import World

#: Seconds for which a system has no process to give, and for which an application does not start. A queue gives up
#: after ten starts in a row that failed, about 40 s, so there is time between two of the latter.
NONE_TO_GIVE, BROKEN, BETWEEN = 6.0, 3.0, 20.0
#: What operators send to a supervisor that is to go on.
SIGNALS = ("SIGHUP", "SIGTTIN", "SIGTTOU", "SIGTSTP", "SIGCONT", "SIGUSR1", "SIGCHLD")

#: What they do to a pool that is to go on: nothing happens twice by it.
ORDERLY = frozenset({"reload", "scale", "pause", "several signals"})


class Operators:
    """Signals to supervisors, and starts that fail."""

    def __init__(self, world: World, victims: Victims) -> None:
        self._world = world
        self._chance = world.chance
        self._victims = victims

    def kinds(self) -> dict[str, Callable[[], bool]]:
        """By name; each tells whether it struck anybody."""
        return {
            "no process to give": self._starve,
            "application broken": self._break_application,
            "reload": self._reload,
            "scale": lambda: self._signal(self._chance.choice((signal.SIGTTIN, signal.SIGTTOU))),
            "several signals": self._signals,
            "pause": self._pause,
            "restart": self._restart,
        }

    def _starve(self) -> bool:
        """fork() fails, for want of memory or pids."""
        machine = self._victims.machine()
        if machine is None:
            return False
        machine.starved_until = self._world.hub.now + NONE_TO_GIVE * self._chance.random()
        return True

    def _break_application(self) -> bool:
        """A deployment went wrong: no handler gets as far as READY."""
        machine = self._victims.machine()
        now = self._world.hub.now
        if machine is None or now < machine.broken_until + BETWEEN:
            return False
        machine.broken_until = now + BROKEN * self._chance.random()
        return True

    def _reload(self) -> bool:
        """With the same config, with another number of handlers, or with a config that is wrong."""
        machine = self._victims.machine()
        if machine is None:
            return False
        machine.edit(self._chance.choice((0, 0, 1, 2, 4, None)))
        self._world.hub.tell(f"{machine.name} is reloaded")
        machine.send_signal(signal.SIGHUP)
        return True

    def _signals(self) -> bool:
        machine = self._victims.machine()
        if machine is None:
            return False
        for _ in range(self._chance.randint(2, 6)):
            number = signal.Signals[self._chance.choice(SIGNALS)]
            self._world.hub.after(0.5 * self._chance.random(), partial(machine.send_signal, number))
        return True

    def _signal(self, number: signal.Signals) -> bool:
        machine = self._victims.machine()
        if machine is None:
            return False
        self._world.hub.tell(f"{machine.name} supervisor gets {number.name}")
        machine.send_signal(number)
        return True

    def _pause(self) -> bool:
        machine = self._victims.machine()
        if machine is None:
            return False
        machine.send_signal(signal.SIGTSTP)
        self._world.hub.after(5.0 * self._chance.random(), lambda: machine.send_signal(signal.SIGCONT))
        return True

    def _restart(self) -> bool:
        """A deployment: SIGTERM, now and then twice; the next pool starts when this one is gone, or at once."""
        machine = self._victims.machine()
        if machine is None:
            return False
        self._world.hub.tell(f"{machine.name} is restarted")
        machine.send_signal(signal.SIGTERM)
        if self._chance.random() < 0.3:
            self._world.hub.after(3.0 * self._chance.random() + 0.4, lambda: machine.send_signal(signal.SIGTERM))
        if self._chance.random() < 0.3:
            self._world.replace(machine)
        machine.supervisor.on_death.append(lambda: self._world.replace(machine))
        return True
