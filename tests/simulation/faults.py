"""Test process: what goes wrong in a world: a seed draws which kinds of faults it has, and when each strikes."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from tests.simulation import server_faults
from tests.simulation.clogs import clog
from tests.simulation.hub import START, Process
from tests.simulation.machine import Machine
from tests.simulation.programs import HandlerProcess, PollerProcess
from tests.simulation.story import Incident
from worker.poller.heartbeater import DENIED_PAUSE
from worker.testing.sqs_server.faults import rule

if TYPE_CHECKING:
    from tests.simulation.world import World

#: Seconds within which faults begin, and how many of them a seed has at most.
WITHIN, MOST = (8.0, 25.0, 45.0), 12
#: Points that a process passes before the fuse of a kill has burnt down, and points of one deed.
FUSE, AIMED = 60, 4
#: Deeds before and after which a kill may be aimed. Those that are rare are the ones that it would seldom hit.
POLLER_DEEDS = ("release", "delete", "send", "receive", "hide", "settle", "dispatch", "ready")
HANDLER_DEEDS = ("start", "finish", "frame", "reclaim")
#: Seconds for which a system has no process to give, and for which an application does not start. A queue gives up
#: after ten starts in a row that failed, about 40 s, so there is time between two of the latter.
NONE_TO_GIVE, BROKEN, BETWEEN = 6.0, 3.0, 20.0
#: How often a kind strikes compared with others.
WEIGHTS = {"swizzle clog": 3, "handler killed": 3, "poller killed": 3, "server: fail_entries": 2}
#: What operators send to a supervisor that is to go on.
SIGNALS = ("SIGHUP", "SIGTTIN", "SIGTTOU", "SIGTSTP", "SIGCONT", "SIGUSR1", "SIGCHLD")


class Faults:
    """The faults of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = world.chance
        self.injected: Counter[str] = Counter()
        self.until = START
        self._kinds: dict[str, Callable[[], bool]] = {
            "handler killed": self._kill_handler,
            "poller killed": self._kill_poller,
            "supervisor killed": self._kill_supervisor,
            "several killed": self._kill_several,
            "host lost": self._lose_host,
            "handler stopped": self._stop_handler,
            "poller stopped": self._stop_poller,
            "supervisor stopped": self._stop_supervisor,
            "host suspended": self._suspend_host,
            "no process to give": self._starve,
            "application broken": self._break_application,
            "swizzle clog": self._clog,
            "reload": self._reload,
            "scale": lambda: self._signal(self._chance.choice((signal.SIGTTIN, signal.SIGTTOU))),
            "several signals": self._signals,
            "pause": self._pause,
            "restart": self._restart,
            **{f"server: {name}": partial(self._server, name) for name in server_faults.KINDS},
        }

    def schedule(self, only: frozenset[str] | None = None) -> None:
        """Draw the faults of this seed: some kinds, each several times."""
        chance = self._chance
        within = chance.choice(WITHIN)
        count = chance.randint(0, MOST)
        kinds = [kind for kind in self._kinds if (chance.random() < 0.4 if only is None else kind in only)]
        self.until = START + within + 1.0
        for _ in range(count if kinds else 0):
            self._world.hub.at(START + 0.3 + within * chance.random(), self._strike(self._draw(kinds)))
        self._world.hub.at(self.until, self.heal)

    def _draw(self, kinds: list[str]) -> str:
        return self._chance.choices(kinds, [WEIGHTS.get(kind, 1) for kind in kinds])[0]

    def _strike(self, kind: str) -> Callable[[], None]:
        def strike() -> None:
            if self._kinds[kind]():
                self.injected[kind] += 1
                self._world.hub.look()

        return strike

    def heal(self) -> None:
        """All faults end, and whoever is stopped goes on."""
        world = self._world
        world.hub.tell("all faults end")
        world.server.service.plan.clear()
        for line, _ in world.lines:
            line.unstick()
        for process in list(world.hub.processes):
            self._go_on(process)
            process.fuse = None
            if isinstance(process, HandlerProcess) and process.links is not None:
                process.links.clogged = False
            elif isinstance(process, PollerProcess) and hasattr(process, "selector"):
                process.selector.clogged.clear()
        for machine in world.machines:
            machine.heal()
            if machine.up and machine.pool.paused:
                machine.send_signal(signal.SIGCONT)
        for incident in world.incidents:
            if incident.kind in ("stuck", "poller stopped", "host suspended"):
                incident.end = min(incident.end, world.hub.now)
        world.hub.look()

    # --- whom it strikes

    def _machine(self) -> Machine | None:
        machines = [machine for machine in self._world.machines if machine.up]
        return self._chance.choice(machines) if machines else None

    def _handler(self) -> HandlerProcess | None:
        machine = self._machine()
        handlers = machine.handlers() if machine else []
        return self._chance.choice(handlers) if handlers else None

    def _poller(self) -> PollerProcess | None:
        machine = self._machine()
        pollers = machine.pollers() if machine else []
        return self._chance.choice(pollers) if pollers else None

    # --- SIGKILL

    def _kill_handler(self) -> bool:
        return self._kill(self._handler(), HANDLER_DEEDS)

    def _kill_poller(self) -> bool:
        return self._kill(self._poller(), POLLER_DEEDS)

    def _kill(self, process: Process | None, deeds: tuple[str, ...]) -> bool:
        """At once, or at one of the next moments at which it does something that others can see."""
        if process is None:
            return False
        draw = self._chance.random()
        if draw < 0.2:
            self._world.hub.tell(f"{process.name} is killed")
            process.kill()
        elif draw < 0.5:
            process.aim, process.fuse = "", self._chance.randrange(FUSE)
        else:
            process.aim, process.fuse = self._chance.choice(deeds), self._chance.randrange(AIMED)
        return True

    def _kill_several(self) -> bool:
        """Some or all children of one machine at one moment."""
        machine = self._machine()
        if machine is None:
            return False
        share = self._chance.choice((0.5, 1.0))
        for child in list(machine.children.values()):
            if self._chance.random() < share:
                self._world.hub.tell(f"{child.name} is killed with others")
                child.kill()
        return True

    def _lose_host(self) -> bool:
        """The power fails, or the host is taken away: all is gone at once."""
        machine = self._machine()
        if machine is None:
            return False
        self._kill_supervisor_of(machine)
        for child in list(machine.children.values()):
            child.kill()
        return True

    def _kill_supervisor(self) -> bool:
        machine = self._machine()
        if machine is None:
            return False
        self._kill_supervisor_of(machine)
        return True

    def _kill_supervisor_of(self, machine: Machine) -> None:
        self._world.hub.tell(f"{machine.name} supervisor is killed")
        machine.supervisor.kill()
        self._world.hub.after(0.2 + 2.0 * self._chance.random(), lambda: self._world.replace(machine))

    # --- SIGSTOP

    def _stop_handler(self) -> bool:
        handler, seconds = self._handler(), self._chance.choice((0.1, 3.0, 20.0))
        if handler is None or not self._stop(handler, seconds):
            return False
        now = self._world.hub.now
        self._world.incidents.append(Incident("handler stopped", now, now + seconds, what=handler.name))
        return True

    def _stop_supervisor(self) -> bool:
        machine = self._machine()
        return self._stop(machine.supervisor if machine else None, self._chance.choice((0.1, 3.0, 15.0)))

    def _stop_poller(self) -> bool:
        poller = self._poller()
        seconds = self._chance.choice((0.1, 2.0, self._world.plan.visibility * 1.5)) * (0.5 + self._chance.random())
        if poller is None or not self._stop(poller, seconds):
            return False
        now = self._world.hub.now
        self._world.incidents.append(Incident("poller stopped", now, now + seconds, poller.machine.name))
        return True

    def _suspend_host(self) -> bool:
        """A virtual machine that is paused, or a laptop that sleeps: CLOCK_BOOTTIME goes on, nothing else does."""
        machine = self._machine()
        if machine is None:
            return False
        seconds = self._chance.choice((1.0, 5.0, self._world.plan.visibility * 1.5)) * (0.5 + self._chance.random())
        now = self._world.hub.now
        for process in (machine.supervisor, *machine.children.values()):
            self._stop(process, seconds)
        self._world.incidents.append(Incident("host suspended", now, now + seconds, machine.name))
        return True

    def _stop(self, process: Process | None, seconds: float) -> bool:
        if process is None or process.stopped:
            return False
        self._world.hub.tell(f"{process.name} is stopped for {seconds:.1f} s")
        process.stop()
        self._world.hub.after(seconds, lambda: self._go_on(process))
        return True

    def _go_on(self, process: Process) -> None:
        if process.stopped:
            process.go_on()

    def _clog(self) -> bool:
        poller = self._poller()
        return poller is not None and clog(self._world, poller, until=self.until)

    # --- the server, and operators

    def _server(self, kind: str) -> bool:
        world, chance = self._world, self._chance
        fields, refuses = server_faults.draw(kind, chance)
        world.hub.tell(f"server rule {fields}")
        world.server.service.plan.add([rule(fields)], world.hub.now)
        if server_faults.refuses_sends(fields):
            world.incidents.append(Incident("sends refused", world.hub.now, world.hub.now + fields["until"]))
        if refuses:
            # A refused entry ends a lease in our books; on the server it lapses later. One that is denied altogether
            # is not tried again for a while.
            pause = DENIED_PAUSE if refuses == "denied" else 2.0
            end = world.hub.now + fields["until"] + world.plan.visibility + pause
            world.incidents.append(Incident(f"changes {refuses}", world.hub.now, end))
        return True

    def _starve(self) -> bool:
        """fork() fails, for want of memory or pids."""
        machine = self._machine()
        if machine is None:
            return False
        machine.starved_until = self._world.hub.now + NONE_TO_GIVE * self._chance.random()
        return True

    def _break_application(self) -> bool:
        """A deployment went wrong: no handler gets as far as READY."""
        machine = self._machine()
        now = self._world.hub.now
        if machine is None or now < machine.broken_until + BETWEEN:
            return False
        machine.broken_until = now + BROKEN * self._chance.random()
        return True

    def _reload(self) -> bool:
        """With the same config, with another number of handlers, or with a config that is wrong."""
        machine = self._machine()
        if machine is None:
            return False
        machine.edit(self._chance.choice((0, 0, 1, 2, 4, None)))
        self._world.hub.tell(f"{machine.name} is reloaded")
        machine.send_signal(signal.SIGHUP)
        return True

    def _signals(self) -> bool:
        machine = self._machine()
        if machine is None:
            return False
        for _ in range(self._chance.randint(2, 6)):
            number = signal.Signals[self._chance.choice(SIGNALS)]
            self._world.hub.after(0.5 * self._chance.random(), partial(machine.send_signal, number))
        return True

    def _signal(self, number: signal.Signals) -> bool:
        machine = self._machine()
        if machine is None:
            return False
        self._world.hub.tell(f"{machine.name} supervisor gets {number.name}")
        machine.send_signal(number)
        return True

    def _pause(self) -> bool:
        machine = self._machine()
        if machine is None:
            return False
        machine.send_signal(signal.SIGTSTP)
        self._world.hub.after(5.0 * self._chance.random(), lambda: machine.send_signal(signal.SIGCONT))
        return True

    def _restart(self) -> bool:
        """A deployment: drained by SIGTERM, now and then hurried by a second, and started anew, mostly when it is gone."""
        machine = self._machine()
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
